package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/internal/sidecartest"
)

func TestCommand_StatusKeysAndRotation(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.NewFull(t) // a test binary does not know the version of its Caddy
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle))
	sidecartest.WantIn(t, s.MustSessions("status"), "https://app.example.com", "/auth/sessions", "pebble, answers in", "none: no other node", provider.Key.ID(), "refresh", "signing")
	var o adminapi.Overview
	if err := json.Unmarshal([]byte(s.MustSessions("status", "--json")), &o); err != nil || len(o.Instances) != 1 {
		t.Errorf("%v: %+v", err, o)
	}
	sidecartest.WantIn(t, s.MustSessions("keys", "--refresh"), provider.Issuer, provider.Key.ID(), "access")
	if out := s.MustSessions("keys", "--json"); !json.Valid([]byte(out)) || !strings.Contains(out, provider.Key.ID()) {
		t.Errorf("keys --json: %s", out)
	}
	sidecartest.WantIn(t, s.MustSessions("rotate-keys"), "signing", "next")
	if out := s.MustSessions("rotate-keys", "--json"); !json.Valid([]byte(out)) {
		t.Errorf("rotate-keys --json: %s", out)
	}
	sidecartest.WantIn(t, s.MustSessions("status"), "versions", "authsidecar ", ", Caddy v2", o.Versions.Go)
	// The endpoint is found as Caddy's own commands find it.
	got := s.Sessions("", "status", "--config", s.Dir+"/Caddyfile", "--adapter", "caddyfile")
	if !got.OK || !strings.Contains(got.Out, "https://app.example.com") {
		t.Errorf("by --config: %+v", got)
	}
}

func TestCommand_ListAndRevoke(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle))
	alice, desk := provider.Token("alice", nil), provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	own := s.Create(alice, `{"user_id":"alice"}`)
	acted := s.Create(desk, `{"user_id":"alice","reason":"ticket 4711"}`)
	sidecartest.WantStatus(t, acted, 200)
	sidecartest.WantStatus(t, s.Create(desk, `{"user_id":"bob"}`), 200)

	must := func(args ...string) string { return mustSessionsHere(t, s, args...) }
	out := must("list", "--user", "alice")
	sidecartest.WantIn(t, out, "SESSION", own.Text("session_id"), acted.Text("session_id"), "carol", "ticket 4711", "127.0.0.1")
	// It ends when the console and the bar say so too, and not after the idle timeout.
	for _, row := range []string{own.Text("session_id") + ` .* in (30d0h|29d23h) `, acted.Text("session_id") + ` .* in (1h0m|59m\d*s) `} {
		if !regexp.MustCompile(row).MatchString(out) {
			t.Errorf("no row is as %s in\n%s", row, out)
		}
	}
	if strings.Count(out, "\n") != 3 || strings.Contains(out, "bob") {
		t.Errorf("listed\n%s", out)
	}
	for _, args := range [][]string{{"list", "--actor", "carol", "--json"}, {"list", "--impersonations", "--json", "--limit", "5"}} {
		lines := strings.Split(strings.TrimSpace(must(args...)), "\n")
		for _, line := range lines {
			if !json.Valid([]byte(line)) || !strings.Contains(line, `"actor":{"iss"`) {
				t.Errorf("%v: %s", args, line)
			}
		}
		if len(lines) != 2 {
			t.Errorf("%v: %d lines", args, len(lines))
		}
	}
	if out := must("list", "--user", "alice", "--limit", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one session: %s", out)
	}

	refused := s.Sessions("y\n", "revoke", "--user", "alice", "--address", s.Admin)
	if refused.OK || !strings.Contains(refused.Err, "--yes") || s.Refresh(own.Text("refresh_token")).Status != 200 {
		t.Errorf("nobody was asked: %+v", refused)
	}
	sidecartest.WantIn(t, must("revoke", "--user", "alice", "--dry-run"), "2 sessions would be revoked")
	sidecartest.WantIn(t, must("revoke", "--user", "alice", "--dry-run", "--json"), `{"would_revoke":2}`)
	sidecartest.WantIn(t, must("revoke", "--user", "nobody", "--yes"), "0 sessions revoked")
	named := sessionsHere("", "revoke", "--dry-run", "--json", "--address", s.Admin, own.Text("session_id"), acted.Text("session_id"), "gone")
	if named.OK || named.Out != `{"would_revoke":2}`+"\n" || !strings.Contains(named.Err, "gone: no such session") {
		t.Errorf("a dry run by ids: %+v", named)
	}
	dash := sessionsHere("", "revoke", "--yes", "--address", s.Admin, "--", "-_x")
	if dash.OK || !strings.Contains(dash.Err, "-_x: no such session") {
		t.Errorf("an id that begins with a dash: %+v", dash)
	}
	more := []string{s.Create(alice, `{"user_id":"alice"}`).Text("session_id"), s.Create(alice, `{"user_id":"alice"}`).Text("session_id")}
	sidecartest.WantIn(t, must(append([]string{"revoke", "--yes"}, more...)...), "2 sessions revoked")
	sidecartest.WantIn(t, must("revoke", "--yes", "--", own.Text("session_id")), "1 session revoked")
	sidecartest.WantIn(t, must("revoke", "--impersonations", "--yes", "--json"), `{"selected":2,"revoked":2}`)
	for _, session := range []sidecartest.Answer{own, acted} {
		sidecartest.WantStatus(t, s.Refresh(session.Text("refresh_token")), 400)
	}
	gone := sessionsHere("", "revoke", "--yes", "--address", s.Admin, "--", own.Text("session_id"))
	if gone.OK || !strings.Contains(gone.Err, "no such session") {
		t.Errorf("it was over: %+v", gone)
	}
}

// Where the sessions are is in the log when they are opened, and in the status; a store that was
// not there yet is told from one that was.
func TestCommand_StatusSaysWhereTheStoreIs(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	config := provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tstore pebble DIR/x/../sessions")
	s.Start(config)
	dir, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	s.WaitLog(`"msg":"session store is open","issuer":"https://app.example.com","store":"pebble","location":"` + dir + `/sessions"`)
	sidecartest.WantIn(t, s.MustSessions("status"), "store is at", dir+"/sessions\n")
	sidecartest.WantIn(t, s.MustSessions("status", "--json"), `"store":{"engine":"pebble","location":"`+dir+`/sessions","ok":true`)
	const made = "there was no session store: a new one was made"
	sidecartest.WantIn(t, s.Log(), made)
	s.Stop()
	s.Start(config)
	s.WaitLog("session store is open")
	if strings.Contains(s.Log(), made) {
		t.Error("a store that was there was made")
	}
}

// More sessions than one request ends or lists, in a store that ends them by a cutoff
// and in one that cannot.
func TestCommand_ManySessions(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"pebble", "forgetful"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			provider := sidecartest.NewIDP(t, "https://idp.example.com")
			s := sidecartest.New(t)
			s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tsession {\n\t\t\tmax_per_user 0\n\t\t}\n\t\tstore "+store))
			sessions := createMany(t, s, provider.Token("alice", nil), 2100)
			if got := strings.Count(s.MustSessions("list", "--user", "alice", "--json"), "\n"); got != 2100 {
				t.Errorf("%d listed", got)
			}
			counted, cursor := 0.0, ""
			for more := true; more; {
				got := s.Ask("DELETE", "sessions?user_id=alice&dry_run=true"+cursor)
				sidecartest.WantStatus(t, got, 200)
				n, _ := got.Fields["would_revoke"].(float64)
				more, _ = got.Fields["more"].(bool)
				counted, cursor = counted+n, "&cursor="+url.QueryEscape(got.Text("next_cursor"))
			}
			if counted != 2100 {
				t.Errorf("%v counted", counted)
			}
			sidecartest.WantIn(t, s.MustSessions("revoke", "--user", "alice", "--yes"), "2100 sessions revoked")
			for _, i := range []int{0, 1000, 2099} {
				sidecartest.WantStatus(t, s.Refresh(sessions[i]), 400)
			}
			if got := strings.Count(s.MustSessions("list", "--user", "alice", "--json"), "\n"); got != 0 {
				t.Errorf("%d are left", got)
			}
		})
	}
}

// createMany makes n sessions of a user, many at a time, and returns their refresh
// tokens.
func createMany(t *testing.T, s *sidecartest.Sidecar, token string, n int) []string {
	t.Helper()
	made := make(chan string, n)
	for worker := range 8 {
		go func() {
			for i := worker; i < n; i += 8 {
				got, err := s.TryCreate(token, `{"user_id":"alice"}`)
				if err != nil || got.Status != 200 {
					t.Errorf("%v: %d %s", err, got.Status, got.Body)
				}
				made <- got.Text("refresh_token")
			}
		}()
	}
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = <-made
	}
	return tokens
}

// On a terminal somebody is asked, and only a yes is one.
func TestCommand_RevokeAsksOnATerminal(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle))
	sidecartest.WantStatus(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 200)
	for _, test := range []struct {
		says  string
		ended bool
	}{{"\n", false}, {"n\n", false}, {"maybe\n", false}, {"y\n", true}} {
		keyboard, terminal := openTerminal(t)
		if _, err := keyboard.WriteString(test.says); err != nil {
			t.Fatal(err)
		}
		got := s.RunSessions(func(cmd *exec.Cmd) { cmd.Stdin = terminal }, "revoke", "--user", "alice", "--address", s.Admin)
		sidecartest.WantIn(t, got.Err, "Revoke 1 session now? [y/N]")
		if got.OK != test.ended || strings.Contains(got.Out, "revoked") != test.ended {
			t.Errorf("%q: %+v", test.says, got)
		}
	}
}

// openTerminal makes a terminal, and who types at it.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return keyboard, terminal
}

func TestCommand_SaysWhatToDoNext(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	sites, _ := provider.TwoSites(s, sidecartest.Echo(t), sidecartest.Lifecycle)
	s.Start(sites)
	bare := sidecartest.New(t)
	bare.Start("SITE {\n\trespond ok\n}\n")
	nobody := "127.0.0.1:" + sidecartest.Port(t)
	tests := []struct {
		name string
		args []string
		says string
	}{
		{"no server", []string{"status", "--address", nobody}, "--address"},
		{"a server without a block", []string{"status", "--address", bare.Admin}, "no auth_sessions block"},
		{"no issuer where there are two", []string{"list", "--user", "a", "--address", s.Admin}, "https://other.example.com, by --issuer"},
		{"an issuer that is not ours", []string{"status", "--issuer", "x", "--address", s.Admin}, "there are https://app.example.com"},
		{"no filter", []string{"revoke", "--address", s.Admin}, "--user"},
		{"nothing to end", []string{"revoke", "--yes", "--address", s.Admin}, "--impersonations"},
		{"two ways to say what", []string{"revoke", "x", "--user", "a", "--yes", "--address", s.Admin}, "not both"},
		{"an id that begins with a dash, as an option", []string{"revoke", "-_x", "--address", s.Admin}, "unknown shorthand flag"},
		{"less than nothing", []string{"list", "--user", "a", "--limit", "-1", "--address", s.Admin}, "less than nothing"},
		{"half of an actor", []string{"list", "--actor-issuer", "x", "--issuer", "https://app.example.com", "--address", s.Admin}, "goes with actor"},
		{"no such configuration", []string{"status", "--config", "/nonexistent"}, "no such file"},
		{"a word too much", []string{"status", "now", "--address", s.Admin}, "unknown command"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := sessionsHere("", test.args...)
			if got.OK || got.Out != "" || !strings.Contains(got.Err, test.says) {
				t.Errorf("%+v, want %q", got, test.says)
			}
		})
	}
}

func TestCommand_HelpAndCompletion(t *testing.T) {
	t.Parallel()
	s := sidecartest.New(t)
	out, err := s.Command("__complete", "auth-sessions", "").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"status", "list", "revoke", "keys", "rotate-keys", "explain", "copy", "backup", "restore", "token", "keygen", "health"}
	for _, name := range names {
		if !bytes.Contains(out, []byte(name+"\t")) {
			t.Errorf("%s is not offered in\n%s", name, out)
		}
		help := s.Sessions("", name, "--help")
		if !help.OK || !strings.Contains(help.Out, "$ caddy auth-sessions "+name) {
			t.Errorf("%s has no example:\n%s", name, help.Out)
		}
		flags, err := s.Command("__complete", "auth-sessions", name, "--").Output()
		if err != nil || !bytes.Contains(flags, []byte("--")) {
			t.Errorf("%s offers no flags: %v %s", name, err, flags)
		}
	}
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s.Start(provider.Site(s, sidecartest.Echo(t), ""))
	for _, test := range []struct{ want, args string }{
		{"https://app.example.com", "status --address " + s.Admin + " --issuer"}, {"caddyfile", "status --adapter"}, {"pebble", "copy --from"},
	} {
		args := append([]string{"__complete", "auth-sessions"}, append(strings.Fields(test.args), "")...)
		if out, err := s.Command(args...).Output(); err != nil || !bytes.Contains(out, []byte(test.want)) {
			t.Errorf("%s: %v, %s", test.args, err, out)
		}
	}
}

// On a terminal, long work shows a bar.
func TestCommand_ProgressOnATerminal(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle))
	sidecartest.WantStatus(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 200)
	screen, terminal := openTerminal(t)
	cmd := s.Command("auth-sessions", "revoke", "--user", "alice", "--yes", "--address", s.Admin)
	cmd.Stderr = terminal
	out, err := cmd.Output()
	if err != nil || string(out) != "1 session revoked.\n" {
		t.Errorf("%v, %s", err, out)
	}
	_ = terminal.Close()
	drawn, _ := io.ReadAll(screen) // it ends with an error, as a terminal does that nobody has open
	sidecartest.WantIn(t, string(drawn), "counting sessions (1/-")
}

// However many pages there are, one connection at a time is open for them.
func TestCommand_KeepsNoConnections(t *testing.T) {
	t.Parallel()
	var open, most, pages atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		next := "more"
		if pages.Add(1) == 50 {
			next = ""
		}
		fmt.Fprintf(w, `{"items":[{"id":"x"}],"next_cursor":%q}`, next)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			if n := open.Add(1); n > most.Load() {
				most.Store(n)
			}
		case http.StateClosed:
			open.Add(-1)
		default:
		}
	}
	server.Start()
	defer server.Close()
	s := sidecartest.New(t)
	got := s.Sessions("", "list", "--user", "alice", "--json", "--address", strings.TrimPrefix(server.URL, "http://"))
	if !got.OK || strings.Count(got.Out, "\n") != 50 {
		t.Fatalf("%+v", got)
	}
	if most.Load() > 5 {
		t.Errorf("%d connections were open at once", most.Load())
	}
}

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
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// An outcome is what a command printed, and whether it ended well.
type outcome struct {
	out, err string
	ok       bool
}

// sessionsCommand runs caddy auth-sessions with these words, for the sidecar.
func (s *sidecar) sessionsCommand(stdin string, args ...string) outcome {
	s.t.Helper()
	return s.runSessions(func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader(stdin) }, args...)
}

func (s *sidecar) runSessions(change func(*exec.Cmd), args ...string) outcome {
	s.t.Helper()
	cmd := s.command(append([]string{"auth-sessions"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	change(cmd)
	err := cmd.Run()
	return outcome{out.String(), errs.String(), err == nil}
}

// adminCommand runs a command against the sidecar's admin endpoint and expects success.
func (s *sidecar) adminCommand(args ...string) string {
	s.t.Helper()
	got := s.sessionsCommand("", append([]string{args[0], "--address", s.admin}, args[1:]...)...)
	if !got.ok {
		s.t.Fatalf("%v: %s%s", args, got.out, got.err)
	}
	return got.out
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

func TestCommand_StatusKeysAndRotation(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life))
	wantIn(t, s.adminCommand("status"), "https://app.example.com", "/auth/sessions", "pebble, answers in", "none: no other node", provider.key.ID(), "refresh", "signing")
	var o overview
	if err := json.Unmarshal([]byte(s.adminCommand("status", "--json")), &o); err != nil || len(o.Instances) != 1 {
		t.Errorf("%v: %+v", err, o)
	}
	wantIn(t, s.adminCommand("keys", "--refresh"), provider.issuer, provider.key.ID(), "access")
	if out := s.adminCommand("keys", "--json"); !json.Valid([]byte(out)) || !strings.Contains(out, provider.key.ID()) {
		t.Errorf("keys --json: %s", out)
	}
	wantIn(t, s.adminCommand("rotate-keys"), "signing", "next")
	if out := s.adminCommand("rotate-keys", "--json"); !json.Valid([]byte(out)) {
		t.Errorf("rotate-keys --json: %s", out)
	}
	// The endpoint is found as Caddy's own commands find it.
	got := s.sessionsCommand("", "status", "--config", s.dir+"/Caddyfile", "--adapter", "caddyfile")
	if !got.ok || !strings.Contains(got.out, "https://app.example.com") {
		t.Errorf("by --config: %+v", got)
	}
}

func TestCommand_ListAndRevoke(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life))
	alice, desk := provider.token("alice", nil), provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	own := create(t, s.url, alice, `{"user_id":"alice"}`)
	acted := create(t, s.url, desk, `{"user_id":"alice","reason":"ticket 4711"}`)
	wantStatus(t, acted, 200)
	wantStatus(t, create(t, s.url, desk, `{"user_id":"bob"}`), 200)

	out := s.adminCommand("list", "--user", "alice")
	wantIn(t, out, "SESSION", own.text("session_id"), acted.text("session_id"), "carol", "ticket 4711", "127.0.0.1")
	if strings.Count(out, "\n") != 3 || strings.Contains(out, "bob") {
		t.Errorf("listed\n%s", out)
	}
	for _, args := range [][]string{{"list", "--actor", "carol", "--json"}, {"list", "--impersonations", "--json", "--limit", "5"}} {
		lines := strings.Split(strings.TrimSpace(s.adminCommand(args...)), "\n")
		for _, line := range lines {
			if !json.Valid([]byte(line)) || !strings.Contains(line, `"actor":{"iss"`) {
				t.Errorf("%v: %s", args, line)
			}
		}
		if len(lines) != 2 {
			t.Errorf("%v: %d lines", args, len(lines))
		}
	}
	if out := s.adminCommand("list", "--user", "alice", "--limit", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one session: %s", out)
	}

	refused := s.sessionsCommand("y\n", "revoke", "--user", "alice", "--address", s.admin)
	if refused.ok || !strings.Contains(refused.err, "--yes") || s.refresh(own.text("refresh_token")).status != 200 {
		t.Errorf("nobody was asked: %+v", refused)
	}
	wantIn(t, s.adminCommand("revoke", "--user", "alice", "--dry-run"), "2 sessions would be ended")
	wantIn(t, s.adminCommand("revoke", "--user", "nobody", "--yes"), "0 sessions ended")
	wantIn(t, s.adminCommand("revoke", "--yes", "--", own.text("session_id")), "1 session ended")
	wantIn(t, s.adminCommand("revoke", "--impersonations", "--yes", "--json"), `{"selected":2,"revoked":2,"dry_run":false}`)
	for _, session := range []answer{own, acted} {
		wantStatus(t, s.refresh(session.text("refresh_token")), 400)
	}
	gone := s.sessionsCommand("", "revoke", "--yes", "--address", s.admin, "--", own.text("session_id"))
	if gone.ok || !strings.Contains(gone.err, "no such session") {
		t.Errorf("it was over: %+v", gone)
	}
}

// Where the sessions are is in the log when they are opened, and in the status.
func TestCommand_StatusSaysWhereTheStoreIs(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life+"\n\t\tstore pebble DIR/x/../sessions"))
	dir, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	s.waitLog(`"msg":"session store is open","issuer":"https://app.example.com","store":"pebble","location":"` + dir + `/sessions"`)
	wantIn(t, s.adminCommand("status"), "store is at", dir+"/sessions\n")
	wantIn(t, s.adminCommand("status", "--json"), `"store":{"engine":"pebble","location":"`+dir+`/sessions","ok":true`)
}

// More sessions than one request ends or lists, in a store that ends them by a cutoff
// and in one that cannot.
func TestCommand_ManySessions(t *testing.T) {
	for _, store := range []string{"pebble", "forgetful"} {
		t.Run(store, func(t *testing.T) {
			provider := newIDP(t, "https://idp.example.com")
			s := newSidecar(t, t.TempDir())
			s.inForce(provider.site(s, echo(t).URL, life+"\n\t\tsession {\n\t\t\tmax_per_user 0\n\t\t}\n\t\tstore "+store))
			sessions := createMany(t, s, provider.token("alice", nil), 2100)
			if got := strings.Count(s.adminCommand("list", "--user", "alice", "--json"), "\n"); got != 2100 {
				t.Errorf("%d listed", got)
			}
			counted, cursor := 0.0, ""
			for more := true; more; {
				got := s.ask("DELETE", "sessions?user_id=alice&dry_run=true"+cursor)
				wantStatus(t, got, 200)
				n, _ := got.fields["revoked"].(float64)
				more, _ = got.fields["more"].(bool)
				counted, cursor = counted+n, "&cursor="+url.QueryEscape(got.text("next_cursor"))
			}
			if counted != 2100 {
				t.Errorf("%v counted", counted)
			}
			wantIn(t, s.adminCommand("revoke", "--user", "alice", "--yes"), "2100 sessions ended")
			for _, i := range []int{0, 1000, 2099} {
				wantStatus(t, s.refresh(sessions[i]), 400)
			}
			if got := strings.Count(s.adminCommand("list", "--user", "alice", "--json"), "\n"); got != 0 {
				t.Errorf("%d are left", got)
			}
		})
	}
}

// createMany makes n sessions of a user, many at a time, and returns their refresh
// tokens.
func createMany(t *testing.T, s *sidecar, token string, n int) []string {
	t.Helper()
	made := make(chan string, n)
	for worker := range 8 {
		go func() {
			for i := worker; i < n; i += 8 {
				got, err := tryCreate(s.url, token, `{"user_id":"alice"}`)
				if err != nil || got.status != 200 {
					t.Errorf("%v: %d %s", err, got.status, got.body)
				}
				made <- got.text("refresh_token")
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
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life))
	wantStatus(t, create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`), 200)
	for _, test := range []struct {
		says  string
		ended bool
	}{{"\n", false}, {"n\n", false}, {"maybe\n", false}, {"y\n", true}} {
		keyboard, terminal := openTerminal(t)
		if _, err := keyboard.WriteString(test.says); err != nil {
			t.Fatal(err)
		}
		got := s.runSessions(func(cmd *exec.Cmd) { cmd.Stdin = terminal }, "revoke", "--user", "alice", "--address", s.admin)
		wantIn(t, got.err, "End 1 session now? [y/N]")
		if got.ok != test.ended || strings.Contains(got.out, "ended") != test.ended {
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
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(twoSites(t, s, provider))
	bare := newSidecar(t, t.TempDir())
	bare.start("SITE {\n\trespond ok\n}\n")
	nobody := "127.0.0.1:" + freePort(t)
	tests := []struct {
		name string
		args []string
		says string
	}{
		{"no server", []string{"status", "--address", nobody}, "--address"},
		{"a server without a block", []string{"status", "--address", bare.admin}, "no auth_sessions block"},
		{"no issuer where there are two", []string{"list", "--user", "a", "--address", s.admin}, "https://other.example.com, by --issuer"},
		{"an issuer that is not ours", []string{"status", "--issuer", "x", "--address", s.admin}, "there are https://app.example.com"},
		{"no filter", []string{"list", "--address", s.admin}, "--user"},
		{"nothing to end", []string{"revoke", "--yes", "--address", s.admin}, "--impersonations"},
		{"two ways to say what", []string{"revoke", "x", "--user", "a", "--yes", "--address", s.admin}, "not both"},
		{"a count of what is named", []string{"revoke", "x", "--dry-run", "--address", s.admin}, "as many as you name"},
		{"less than nothing", []string{"list", "--user", "a", "--limit", "-1", "--address", s.admin}, "less than nothing"},
		{"half of an actor", []string{"list", "--actor-issuer", "x", "--issuer", "https://app.example.com", "--address", s.admin}, "goes with actor"},
		{"no such configuration", []string{"status", "--config", "/nonexistent"}, "no such file"},
		{"a word too much", []string{"status", "now", "--address", s.admin}, "unknown command"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := s.sessionsCommand("", test.args...)
			if got.ok || got.out != "" || !strings.Contains(got.err, test.says) {
				t.Errorf("%+v, want %q", got, test.says)
			}
		})
	}
}

func TestCommand_HelpAndCompletion(t *testing.T) {
	s := newSidecar(t, t.TempDir())
	out, err := s.command("__complete", "auth-sessions", "").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"status", "list", "revoke", "keys", "rotate-keys", "explain", "copy", "backup", "restore", "token", "keygen"}
	for _, name := range names {
		if !bytes.Contains(out, []byte(name+"\t")) {
			t.Errorf("%s is not offered in\n%s", name, out)
		}
		help := s.sessionsCommand("", name, "--help")
		if !help.ok || !strings.Contains(help.out, "$ caddy auth-sessions "+name) {
			t.Errorf("%s has no example:\n%s", name, help.out)
		}
		flags, err := s.command("__complete", "auth-sessions", name, "--").Output()
		if err != nil || !bytes.Contains(flags, []byte("--")) {
			t.Errorf("%s offers no flags: %v %s", name, err, flags)
		}
	}
	provider := newIDP(t, "https://idp.example.com")
	s.inForce(provider.site(s, echo(t).URL, ""))
	for _, test := range []struct{ want, args string }{
		{"https://app.example.com", "status --address " + s.admin + " --issuer"}, {"caddyfile", "status --adapter"}, {"pebble", "copy --from"},
	} {
		args := append([]string{"__complete", "auth-sessions"}, append(strings.Fields(test.args), "")...)
		if out, err := s.command(args...).Output(); err != nil || !bytes.Contains(out, []byte(test.want)) {
			t.Errorf("%s: %v, %s", test.args, err, out)
		}
	}
}

// On a terminal, long work shows a bar.
func TestCommand_ProgressOnATerminal(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life))
	wantStatus(t, create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`), 200)
	screen, terminal := openTerminal(t)
	cmd := s.command("auth-sessions", "revoke", "--user", "alice", "--yes", "--address", s.admin)
	cmd.Stderr = terminal
	out, err := cmd.Output()
	if err != nil || string(out) != "1 session ended.\n" {
		t.Errorf("%v, %s", err, out)
	}
	_ = terminal.Close()
	drawn, _ := io.ReadAll(screen) // it ends with an error, as a terminal does that nobody has open
	wantIn(t, string(drawn), "counting sessions (1/-")
}

// However many pages there are, one connection at a time is open for them.
func TestCommand_KeepsNoConnections(t *testing.T) {
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
	s := newSidecar(t, t.TempDir())
	got := s.sessionsCommand("", "list", "--user", "alice", "--json", "--address", strings.TrimPrefix(server.URL, "http://"))
	if !got.ok || strings.Count(got.out, "\n") != 50 {
		t.Fatalf("%+v", got)
	}
	if most.Load() > 5 {
		t.Errorf("%d connections were open at once", most.Load())
	}
}

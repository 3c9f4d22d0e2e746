package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// The health command says what the health path says, in its exit status too.
func TestCommand_HealthFailsUnlessTheServerCanServe(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), "health /auth/health"))
	if got := s.Sessions("", "health", s.URL+"/auth/health"); !got.OK || got.Out != "ok\n" {
		t.Errorf("%+v", got)
	}
	answers := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, s.URL+"/auth/health", status)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for address, want := range map[string]string{
		answers(503): "answers 503", answers(302): "answers 302",
		"http://127.0.0.1:1/auth/health": "refused", "/auth/health": "is no URL", "unix:///run/x": "is no URL",
	} {
		proxied := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Environ(), "HTTP_PROXY="+s.URL) }
		if got := s.RunSessions(proxied, "health", address); got.OK || !strings.Contains(got.Err, want) {
			t.Errorf("%s: %+v, want %q", address, got, want)
		}
	}
}

// Who forgets an argument reads which, with an example; and where there is no admin endpoint, that
// there is none.
func TestCommand_SaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := sidecartest.New(t)
	s.Write("off", "{\n\tadmin off\n}\n")
	off := s.Dir + "/off"
	for _, test := range []struct{ args, want string }{
		{"backup", "as in: caddy auth-sessions backup /var/backups"},
		{"restore x", "as in: caddy auth-sessions restore"},
		{"audit verify", "as in: caddy auth-sessions audit verify"},
		{"health", "as in: caddy auth-sessions health"},
		{"revoke", "say which sessions"},
		{"status --adapter caddyfile --config " + off, `says "admin off"`},
		{"status --address 127.0.0.1:1", `with "admin off" it has none`},
	} {
		if got := s.Sessions("", strings.Fields(test.args)...); got.OK || !strings.Contains(got.Err, test.want) {
			t.Errorf("%s: %+v, want %q", test.args, got, test.want)
		}
	}
}

// list shows all sessions of both kinds, newest first, and with --watch again and again; revoking
// still needs to be told which.
func TestCommand_ListShowsAllAndWatches(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), ""))
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	var want []string
	for _, caller := range [][2]string{
		{provider.Token("alice", nil), `{"user_id":"alice"}`},
		{desk, `{"user_id":"bob","reason":"ticket"}`},
		{provider.Token("eve", nil), `{"user_id":"eve"}`},
	} {
		made := s.Create(caller[0], caller[1])
		sidecartest.WantStatus(t, made, 200)
		want = append([]string{made.Text("session_id")}, want...)
		time.Sleep(time.Millisecond) // sessions of one millisecond are listed by their ids
	}
	var got []string
	for line := range strings.Lines(s.MustSessions("list", "--json")) {
		var session struct{ ID string }
		if err := json.Unmarshal([]byte(line), &session); err != nil {
			t.Fatal(err)
		}
		got = append(got, session.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	sidecartest.WantStatus(t, s.Ask("DELETE", "sessions"), 400)
	watching := s.Command("auth-sessions", "list", "--watch", "--address", s.Admin)
	out, err := watching.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watching.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for lines := bufio.NewScanner(out); seen < 2 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), want[0]) {
			seen++
		}
	}
	_ = watching.Process.Signal(os.Interrupt)
	if err := watching.Wait(); err != nil || seen != 2 {
		t.Errorf("--watch showed a session %d times: %v", seen, err)
	}
}

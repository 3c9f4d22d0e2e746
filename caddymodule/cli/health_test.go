package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

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

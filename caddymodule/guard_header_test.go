package caddymodule_test

import (
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/forward"
)

// pathHeaders are all headers that rename a path, in all spellings that reach us.
func pathHeaders(value string) (header []string) {
	for _, name := range forward.PathHeaders {
		for _, spelled := range []string{name, strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(strings.ToLower(name), "-", ".")} {
			header = append(header, spelled, value)
		}
	}
	return header
}

// Caddy drops headers with underscores and dots unless it is told to expect them.
const expectAll = "\tservers {\n\t\texpected_underscore_headers X_* Script_* Path_*\n\t\texpected_dot_headers X.* Script.* Path.*\n"

func TestPathHeaders_NeverReachTheApp(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"", "require\n\t\t\texempt /public/*", "require\n\t\t\texempt /public/*\n\t\t\tpath_headers trusted_proxies"} {
		p := sidecartest.NewIDP(t, "https://idp.example.com")
		s := newSidecar(t)
		s.Global = expectAll + "\t\ttrusted_proxies static 192.0.2.1\n\t}\n"
		s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), "identity {\n\t\t\t"+words+"\n\t\t}"))
		own := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
		for _, authorization := range []string{"", bearerOf(own)} {
			header := append(pathHeaders("/admin/users"), "X_Other_Url", "/other")
			if authorization != "" {
				header = append(header, "Authorization", authorization)
			}
			got := s.through("GET", "/public/x", header...)
			sidecartest.WantStatus(t, got, 200)
			if strings.Contains(got.Body, "/admin") || !strings.Contains(got.Body, "/other") {
				t.Errorf("%q: the app gets\n%s", words, got.Body)
			}
		}
	}
}

func TestPathHeaders_OfTrustedProxiesAreKeptByAWord(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	for words, want := range map[string]string{"path_headers trusted_proxies": "/app/x", "shadow": "/app/x", "optional": ""} {
		s := newSidecar(t)
		s.Global = "\tservers {\n\t\ttrusted_proxies static 127.0.0.1\n\t}\n"
		s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), "identity {\n\t\t\t"+words+"\n\t\t}"))
		got := s.through("GET", "/x", "X-Original-Url", "/app/x", "X-Auth-User", "root")
		wantTold(t, got, "X-Original-Url", want)
	}
}

// Even in shadow mode deny looks at the path that the app sees.
func TestPathHeaders_OfImpersonationsNeverEvadeDeny(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "deny /billing/*", "reverse_proxy APP")
	if err := g.Reload(strings.Replace(g.site("deny /billing/*", "reverse_proxy APP"), "\t\tidentity\n", "\t\tidentity {\n\t\t\tshadow\n\t\t}\n", 1)); err != nil {
		t.Fatal(err)
	}
	got := g.expect("an impersonation", g.imp, "GET", "/app", 200, true, "X-Original-Url", "/billing/pay", "X-Rewrite-Url", "/billing/pay")
	if strings.Contains(got.Body, "/billing") {
		t.Errorf("the app gets\n%s", got.Body)
	}
}

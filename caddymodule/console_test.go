package caddymodule_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// A consoleSite is a site with a console.
type consoleSite struct {
	*sidecar

	t        *testing.T
	provider *signintest.Provider
	origin   string // of the console
}

// newConsoleSite starts one, with more rules and words of the block.
func newConsoleSite(t *testing.T, more string) *consoleSite {
	t.Helper()
	s := &consoleSite{sidecar: newSidecar(t), t: t, provider: signintest.NewProvider(t, "site")}
	s.origin = "http://console.localhost:" + sidecartest.PortOf(s.URL)
	s.Start(fmt.Sprintf(`SITE {
	auth_sessions {
		issuer %[1]s
		trust %[2]s {
			audience %[1]s/auth/sessions
		}
		allow self
		allow claim roles support
		manage claim roles officer
		protect user root
		impersonation {
			require_reason
		}
		audit file DIR/audit.jsonl
		%[5]s
		lifecycle
		identity
		browser {
			console %[4]s
			sign_in %[2]s {
				client_id site
			}
		}
	}
	reverse_proxy %[3]s
}
`, s.URL, s.provider.URL, strings.TrimPrefix(sidecartest.Echo(t), "http://"), s.origin, more))
	return s
}

// A guest is a browser at the console.
type guest struct {
	*visitor

	site *consoleSite
}

// guest returns a browser in which somebody signed in at the console, with roles.
func (s *consoleSite) guest(sub string, roles ...string) *guest {
	s.t.Helper()
	v := newVisitor(s.t, s.Sidecar)
	v.site = s.origin
	v.Transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, port, _ := net.SplitHostPort(addr); strings.HasSuffix(host, ".localhost") {
			addr = "127.0.0.1:" + port
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	g := &guest{v, s}
	g.signsIn(sub, roles...)
	return g
}

// signsIn signs somebody in.
func (g *guest) signsIn(sub string, roles ...string) {
	g.t.Helper()
	g.site.provider.Claims = signintest.Object{"sub": sub, "roles": roles, "email": sub + "@example.com"}
	got := g.visitor.goTo(g.begin("/"))
	sidecartest.WantStatus(g.t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(g.t, got, "Location", "/")
}

// page goes to a page of the console, which is one.
func (g *guest) page(path string, status int, want ...string) string {
	g.t.Helper()
	got := g.goTo(g.site.origin + path)
	return wantConsolePage(g.t, got, status, want...)
}

func wantConsolePage(t *testing.T, got sidecartest.Answer, status int, want ...string) string {
	t.Helper()
	sidecartest.WantStatus(t, got, status)
	sidecartest.WantHeaders(t, got, "Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store", "Referrer-Policy", "same-origin")
	policy := got.Header.Get("Content-Security-Policy")
	sidecartest.WantIn(t, policy, "default-src 'none'", "style-src 'self'", "script-src 'self'", "frame-ancestors 'none'")
	sidecartest.WantIn(t, got.Body, want...)
	for _, not := range []string{"unsafe", "eyJ", "style=", " on", "http-equiv"} {
		if strings.Contains(policy, not) || not != "unsafe" && not != " on" && strings.Contains(got.Body, not) {
			t.Errorf("%s has %q:\n%s", policy, not, got.Body)
		}
	}
	return got.Body
}

// posts sends a form as a page of the console does, and returns where it leads.
func (g *guest) posts(path string, form url.Values) string {
	g.t.Helper()
	got := g.send(path, form, "Sec-Fetch-Site", "same-origin")
	sidecartest.WantStatus(g.t, got, http.StatusSeeOther)
	return got.Header.Get("Location")
}

func (g *guest) send(path string, form url.Values, headers ...string) sidecartest.Answer {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.site.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := g.Do(req) //nolint:bodyclose // Read closes it
	if err != nil {
		g.t.Fatal(err)
	}
	got, err := sidecartest.Read(resp)
	if err != nil {
		g.t.Fatal(err)
	}
	return got
}

var sessionField = regexp.MustCompile(`name="id" value="([\w-]{22})"`)

// ids are the sessions that a page can end.
func ids(body string) (all []string) {
	for _, match := range sessionField.FindAllStringSubmatch(body, -1) {
		all = append(all, match[1])
	}
	return all
}

// acts starts an impersonation by the form, and returns its link.
func (g *guest) acts(user, reason string) (link string) {
	g.t.Helper()
	to := g.posts("/act", url.Values{"user": {user}, "reason": {reason}, "life": {"900"}})
	body := g.page(to, http.StatusOK, "Act as "+user)
	found := regexp.MustCompile(`readonly value="([^"]+)"`).FindStringSubmatch(body)
	if found == nil {
		g.t.Fatal(body)
	}
	return found[1]
}

// People see where they are signed in, and end what they do not know.
func TestConsole_PeopleSeeAndEndTheirOwnSessions(t *testing.T) {
	t.Parallel()
	s := newConsoleSite(t, "")
	first := s.guest("alice")
	other := s.guest("alice")
	s.guest("bob")
	body := first.page("/", http.StatusOK, "Where you are signed in", "this one", "this console", "End all others")
	if len(ids(body)) != 1 || strings.Contains(body, "bob") || strings.Contains(body, "Act as") || strings.Contains(body, "/acting") {
		t.Fatal(body)
	}
	to := first.posts("/end", url.Values{"id": {ids(body)[0]}})
	body = first.page(to, http.StatusOK, "One session was ended.")
	if len(ids(body)) != 0 || strings.Contains(body, "End all others") {
		t.Error(body)
	}
	got := other.goTo(s.origin + "/")
	sidecartest.WantStatus(t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(t, got, "Location", "/auth/sessions/sign-in?return_to=%2F")
	s.guest("alice")
	s.guest("alice")
	first.page(first.posts("/end-others", nil), http.StatusOK, "2 sessions were ended.", "this one")
	if got := s.auditText(); !slices.ContainsFunc(got, func(line string) bool {
		return strings.Contains(line, `"event":"revoked"`) && strings.Contains(line, `"note":"by the console"`)
	}) {
		t.Errorf("%s", got)
	}
}

// auditText are the lines of the audit.
func (s *consoleSite) auditText() []string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Dir, "audit.jsonl"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

package docs

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// People sign in at real providers, by the words of the Caddyfile, and get back to where they were
// going as who they are.
func TestRealIssuers_PeopleSignIn(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, issuer func(t *testing.T, site string) *realIssuer, trust, signIn string) *signInSite {
		s := sidecartest.New(t)
		s.Env = append(s.Env, "OIDC_SECRET=site-secret")
		provider := issuer(t, s.URL)
		s.StartSignIn(sidecartest.SignInSite{Provider: provider.url, App: sidecartest.Echo(t), Trust: trust, Identity: "require", SignIn: signIn})
		return &signInSite{s, t}
	}
	oidcProvider := func(at *url.URL, form string) url.Values {
		if strings.Contains(form, `value="consent"`) {
			return url.Values{"prompt": {"consent"}}
		}
		return url.Values{"prompt": {"login"}, "login": {"alice"}, "password": {"any"}}
	}
	node := func(t *testing.T, site string) *realIssuer {
		return nodeIssuer(t, "oidc-provider", "SIGN_IN_SITE="+site)
	}
	t.Run("oidc-provider, with a secret", func(t *testing.T) {
		t.Parallel()
		start(t, node, "", "client_id site\nclient_secret {env.OIDC_SECRET}").signsIn("alice", oidcProvider)
	})
	t.Run("oidc-provider, without", func(t *testing.T) {
		t.Parallel()
		start(t, node, "", "client_id public-site").signsIn("alice", oidcProvider)
	})
	t.Run("oidc-provider, somebody who is not let in", func(t *testing.T) {
		t.Parallel()
		start(t, node, "only claim email_verified true", "client_id public-site").refuses("account_refused", oidcProvider)
	})
	t.Run("Zitadel's library", func(t *testing.T) {
		t.Parallel()
		zitadel := func(t *testing.T, site string) *realIssuer { return zitadelIssuer(t, "SIGN_IN_SITE="+site) }
		start(t, zitadel, "", "client_id site\nclient_secret {env.OIDC_SECRET}").signsIn("id1", func(at *url.URL, _ string) url.Values {
			return url.Values{"id": {at.Query().Get("authRequestID")}, "username": {"test-user@127.0.0.1"}, "password": {"verysecure"}}
		})
	})
}

// A signInSite is a site whose people sign in.
type signInSite struct {
	*sidecartest.Sidecar

	t *testing.T
}

// answerTo fills in the form of a provider's page.
type answerTo func(at *url.URL, form string) url.Values

// signsIn has a new browser sign in on its way to a page.
func (s *signInSite) signsIn(user string, answer answerTo) {
	s.t.Helper()
	browser, last := s.visit("/orders?page=2", answer)
	if last.status != http.StatusOK || !strings.Contains(last.text, "GET /orders?page=2\n") || !strings.Contains(last.text, "X-Auth-User: "+user+"\r\n") {
		s.t.Fatalf("%d\n%s", last.status, last.text)
	}
	if strings.Contains(last.text, " session") {
		s.t.Errorf("the app has a cookie of ours:\n%s", last.text)
	}
	names := s.cookies(browser)
	if names["session"] == "" || names["session-refresh"] == "" {
		s.t.Error("the browser has no session")
	}
	for name := range names {
		if strings.HasPrefix(name, "session-in-") {
			s.t.Errorf("the cookie of the sign-in is left: %s", name)
		}
	}
}

// cookies returns those that a browser has of the site.
func (s *signInSite) cookies(browser *http.Client) map[string]string {
	s.t.Helper()
	at, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	all := make(map[string]string)
	for _, cookie := range browser.Jar.Cookies(at) {
		sidecartest.Remember(cookie.Value)
		all[cookie.Name] = cookie.Value
	}
	return all
}

// refuses has a new browser try to sign in, and read why it cannot.
func (s *signInSite) refuses(code string, answer answerTo) {
	s.t.Helper()
	_, last := s.visit("/orders", answer)
	if last.status != http.StatusForbidden || !strings.Contains(last.text, code) || !strings.Contains(last.text, `href="/auth/sessions/sign-in?return_to=%2Forders"`) {
		s.t.Fatalf("%d\n%s", last.status, last.text)
	}
}

// visit has a new browser go to a page, and wherever it is sent from there.
func (s *signInSite) visit(path string, answer answerTo) (*http.Client, page) {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at := look(s.t, browser, http.MethodGet, s.URL+path, nil)
	for range 30 {
		switch {
		case at.next != "":
			at = look(s.t, browser, http.MethodGet, at.next, nil)
		case strings.HasPrefix(at.at.String(), s.URL):
			return browser, at
		case at.status != http.StatusOK:
			s.t.Fatalf("%s: %d\n%s", at.at, at.status, at.text)
		default:
			at = look(s.t, browser, http.MethodPost, at.at.String(), answer(at.at, at.text))
		}
	}
	s.t.Fatal("no page of the site after 30")
	return nil, page{}
}

package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// signInSite starts a site whose people sign in at a provider.
func signInSite(t *testing.T, trust string) (*sidecartest.Sidecar, *signintest.Provider) {
	t.Helper()
	provider := signintest.NewProvider(t, "site")
	s := sidecartest.New(t)
	s.StartSignIn(sidecartest.SignInSite{Provider: provider.URL, App: sidecartest.Echo(t), Trust: trust})
	return s, provider
}

// A visitor is a browser: it keeps cookies, and goes nowhere by itself.
type visitor struct {
	*http.Client

	t    *testing.T
	site string
}

func newVisitor(t *testing.T, s *sidecartest.Sidecar) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &visitor{client, t, s.URL}
}

// goTo navigates to a page.
func (v *visitor) goTo(to string) sidecartest.Answer {
	v.t.Helper()
	req, err := http.NewRequest(http.MethodGet, to, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	resp, err := v.Do(req) //nolint:bodyclose // Read closes it
	if err != nil {
		v.t.Fatal(err)
	}
	got, err := sidecartest.Read(resp)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, cookie := range resp.Cookies() {
		sidecartest.Remember(cookie.Value)
	}
	return got
}

// begin begins a sign-in, and returns where the provider sends the browser: the answer.
func (v *visitor) begin(returnTo string) (answer string) {
	v.t.Helper()
	got := v.goTo(v.site + "/auth/sessions/sign-in?" + url.Values{"return_to": {returnTo}}.Encode())
	sidecartest.WantStatus(v.t, got, http.StatusSeeOther)
	got = v.goTo(got.Header.Get("Location"))
	sidecartest.WantStatus(v.t, got, http.StatusSeeOther)
	return got.Header.Get("Location")
}

// signIn signs in, and returns the tokens that the browser has.
func (v *visitor) signIn(returnTo string) (access, refresh string) {
	v.t.Helper()
	got := v.goTo(v.begin(returnTo))
	sidecartest.WantStatus(v.t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(v.t, got, "Location", returnTo, "Cache-Control", "no-store", "Referrer-Policy", "same-origin")
	return v.tokens()
}

// tokens returns what the cookies of the session hold.
func (v *visitor) tokens() (access, refresh string) {
	v.t.Helper()
	at, err := url.Parse(v.site)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, cookie := range v.Jar.Cookies(at) {
		switch cookie.Name {
		case "session":
			access = cookie.Value
		case "session-refresh":
			refresh = cookie.Value
		}
	}
	return access, refresh
}

// wantPage checks what a person reads.
func wantPage(t *testing.T, got sidecartest.Answer, status int, code, again string) {
	t.Helper()
	sidecartest.WantStatus(t, got, status)
	sidecartest.WantHeaders(t, got, "Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store", "Referrer-Policy", "same-origin")
	policy := got.Header.Get("Content-Security-Policy")
	sidecartest.WantIn(t, policy, "default-src 'none'", "frame-ancestors 'self'")
	sidecartest.WantIn(t, got.Body, fmt.Sprintf("%d %s", status, code), `href="`+again+`"`)
	if strings.Contains(policy, "unsafe") || strings.Contains(got.Body, "<script") || strings.Contains(got.Body, "SECRET") {
		t.Errorf("%s\n%s", policy, got.Body)
	}
}

const again = "/auth/sessions/sign-in"

// Fixation: whatever session was in the browser is over once somebody signs in.
func TestSignIn_TheSessionThatWasThereIsRevoked(t *testing.T) {
	t.Parallel()
	s, provider := signInSite(t, "")
	v := newVisitor(t, s)
	planted, plantedRefresh := v.signIn("/")
	sidecartest.WantStatus(t, s.Call("GET", "/current", planted, ""), http.StatusOK)
	provider.Change(func() { provider.Claims = signintest.Object{"sub": "bob"} })
	got := v.goTo(v.begin("/orders?page=2"))
	sidecartest.WantStatus(t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(t, got, "Location", "/orders?page=2")
	access, _ := v.tokens()
	sidecartest.WantFields(t, s.Call("GET", "/current", access, ""), map[string]any{"user_id": "bob", "is_impersonation": false})
	sidecartest.WantStatus(t, s.Call("GET", "/current", planted, ""), http.StatusUnauthorized)
	site, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	attacker := newVisitor(t, s)
	attacker.Jar.SetCookies(site, []*http.Cookie{{Name: "session-refresh", Value: plantedRefresh}})
	sidecartest.WantStatus(t, attacker.goTo(s.URL+"/auth/sessions/current"), http.StatusUnauthorized)
}

// The back button, a page loaded again and a second click: whoever is signed in by then goes on, and
// whoever is not may begin again.
func TestSignIn_AnAnswerThatComesAgain(t *testing.T) {
	t.Parallel()
	s, _ := signInSite(t, "")
	v := newVisitor(t, s)
	answer := v.begin("/orders")
	sidecartest.WantStatus(t, v.goTo(answer), http.StatusSeeOther)
	_, before := v.tokens()
	got := v.goTo(answer)
	sidecartest.WantStatus(t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(t, got, "Location", "/")
	if _, now := v.tokens(); now != before {
		t.Error("it is another session by now")
	}
	wantPage(t, newVisitor(t, s).goTo(answer), http.StatusBadRequest, "sign_in_over", again)
}

// Login CSRF: an answer to the attacker's sign-in signs no victim in.
func TestSignIn_LoginCSRFOfTheSite(t *testing.T) {
	t.Parallel()
	s, _ := signInSite(t, "")
	attacker, victim := newVisitor(t, s), newVisitor(t, s)
	victim.begin("/")
	wantPage(t, victim.goTo(attacker.begin("/")), http.StatusBadRequest, "sign_in_over", again)
	if access, refresh := victim.tokens(); access+refresh != "" {
		t.Error("the victim is signed in")
	}
}

// What the provider says against a sign-in, and what it cannot say, is a page with a way on. None
// of its text is on it, or in the log.
func TestSignIn_PagesOfSignInsThatDoNotWork(t *testing.T) {
	t.Parallel()
	s, provider := signInSite(t, "only claim tier gold")
	v := newVisitor(t, s)
	way := again + "?return_to=%2Forders"
	wantPage(t, v.goTo(v.begin("/orders")), http.StatusForbidden, "account_refused", way)

	refused := v.begin("/orders") + "&error=access_denied&error_description=" + url.QueryEscape(signintest.Hostile)
	wantPage(t, v.goTo(refused), http.StatusForbidden, "sign_in_refused", way)

	provider.Change(func() {
		provider.Token = signintest.Refuse(http.StatusUnauthorized, signintest.Object{"error": "invalid_client", "error_description": signintest.Hostile})
	})
	wantPage(t, v.goTo(v.begin("/orders")), http.StatusBadGateway, "sign_in_failed", way)
	s.WaitLog(`"reason":"sign_in_failed"`, "it does not accept client_id and client_secret")

	provider.Change(func() { provider.Token = signintest.Refuse(http.StatusServiceUnavailable, signintest.Hostile) })
	got := v.goTo(v.begin("/orders"))
	wantPage(t, got, http.StatusServiceUnavailable, "sign_in_unavailable", way)
	sidecartest.WantHeaders(t, got, "Retry-After", "1")

	provider.Change(func() { provider.Token, provider.Claims = nil, signintest.Object{"nonce": "other", "tier": "gold"} })
	wantPage(t, v.goTo(v.begin("/orders")), http.StatusBadGateway, "sign_in_failed", way)
	if access, refresh := v.tokens(); access+refresh != "" {
		t.Error("somebody is signed in")
	}
	if log := s.Log(); strings.Contains(log, "SECRET") || strings.Contains(log, "owned") && !strings.Contains(log, "error_description") {
		t.Error("the log repeats the provider")
	}
}

// A provider that is down keeps nobody from an app that asks nothing, and says so to who wants to
// sign in.
func TestSignIn_TheProviderIsDown(t *testing.T) {
	t.Parallel()
	s, provider := signInSite(t, "")
	provider.Change(func() { provider.Discover = signintest.Refuse(http.StatusServiceUnavailable, signintest.Hostile) })
	v := newVisitor(t, s)
	wantPage(t, v.goTo(s.URL+again+"?return_to=%2F%2Fevil.example.com"), http.StatusServiceUnavailable, "sign_in_unavailable", again+"?return_to=%2F%2Fevil.example.com")
	sidecartest.WantProblem(t, s.Get("GET", again), http.StatusServiceUnavailable, "sign_in_unavailable")
	sidecartest.WantStatus(t, s.Get("GET", "/"), http.StatusOK)
	provider.Change(func() { provider.Discover = nil })
	v.signIn("/")
}

// Whoever has a name at the provider and is no person of this app gets no session.
func TestSignIn_MachinesAreNobody(t *testing.T) {
	t.Parallel()
	s, provider := signInSite(t, "")
	provider.Change(func() { provider.Claims = signintest.Object{"sub": "site", "azp": "site"} })
	v := newVisitor(t, s)
	wantPage(t, v.goTo(v.begin("/")), http.StatusForbidden, "account_refused", again+"?return_to=%2F")
}

// Who signs out here by a form signs out at the provider, and comes back to a page that says so. A
// script, which could not follow, stays; and a provider that is down keeps nobody signed in.
func TestSignIn_SigningOutIsSigningOutAtTheProvider(t *testing.T) {
	t.Parallel()
	s, provider := signInSite(t, "")
	closes := func(v *visitor, accept string) sidecartest.Answer {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, s.URL+"/auth/sessions/close", strings.NewReader("return_to=%2Fbye"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", accept)
		req.Header.Set("Origin", s.URL)
		resp, err := v.Do(req) //nolint:bodyclose // Read closes it
		if err != nil {
			t.Fatal(err)
		}
		got, err := sidecartest.Read(resp)
		if err != nil {
			t.Fatal(err)
		}
		sidecartest.WantStatus(t, got, http.StatusSeeOther)
		return got
	}
	v := newVisitor(t, s)
	access, _ := v.signIn("/")
	got := closes(v, "text/html")
	back := s.URL + "/auth/sessions/signed-out"
	want := provider.URL + "/end?" + url.Values{"client_id": {"site"}, "logout_hint": {"alice"}, "post_logout_redirect_uri": {back}}.Encode()
	sidecartest.WantHeaders(t, got, "Location", want, "Cache-Control", "no-store")
	sidecartest.WantStatus(t, s.Call("GET", "/current", access, ""), http.StatusUnauthorized)
	if access, refresh := v.tokens(); access+refresh != "" {
		t.Error("the cookies are still there")
	}
	page := v.goTo(back)
	sidecartest.WantStatus(t, page, http.StatusOK)
	sidecartest.WantIn(t, page.Body, "<h1>You are signed out</h1>", `href="`+again+`"`)
	sidecartest.WantHeaders(t, closes(v, "text/html"), "Location", "/bye") // nobody is signed in

	v.signIn("/")
	sidecartest.WantHeaders(t, closes(v, "*/*"), "Location", "/bye")
}

// Our endpoints have one method.
func TestSignIn_Methods(t *testing.T) {
	t.Parallel()
	s, _ := signInSite(t, "")
	for _, path := range []string{"/sign-in", "/sign-in/callback", "/signed-out"} {
		got := s.Call("POST", path, "", "")
		sidecartest.WantProblem(t, got, http.StatusMethodNotAllowed, "method_not_allowed")
		sidecartest.WantHeaders(t, got, "Allow", "GET")
	}
}

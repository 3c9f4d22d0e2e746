package docs

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

var hiddenXSRF = regexp.MustCompile(`name="xsrf" value="([^"]+)"`)

// A person signs out at the identity provider, which says so by itself: their sessions here are
// over, that of an ID token by its sid, and that of an access token, which has none, by its sub.
// Those of whoever signed in elsewhere go on, and a sign-in afterwards works.
func TestRealIssuers_ALogoutAtTheProviderEndsSessionsHere(t *testing.T) {
	t.Parallel()
	s := sidecartest.New(t)
	issuer := nodeIssuer(t, "oidc-provider", "BACKCHANNEL_LOGOUT_URI="+s.URL+"/auth/sessions/backchannel-logout")
	s.Start(fmt.Sprintf(`SITE {
	auth_sessions {
		issuer https://app.example.com
		trust %s {
			audience %s app
			id_tokens
			logout app
		}
		allow self
		lifecycle
		identity
	}
	respond "the app"
}
`, issuer.url, resource))
	signIn := func(name string) (*http.Client, tokens) {
		issuer.browser = newBrowser(t)
		signed := issuer.signIn(t, "app", "app-secret", url.Values{"resource": {resource}}, func(_ *url.URL, form string) url.Values {
			if strings.Contains(form, `value="consent"`) {
				return url.Values{"prompt": {"consent"}}
			}
			return url.Values{"prompt": {"login"}, "login": {name}, "password": {"any"}}
		})
		sidecartest.Remember(signed.Access)
		sidecartest.Remember(signed.ID)
		return issuer.browser, signed
	}
	browser, alice := signIn("alice")
	_, elsewhere := signIn("alice") // with another browser
	_, bob := signIn("bob")
	if sidecartest.Part(t, alice.ID, 1)["sid"] == nil || sidecartest.Part(t, alice.Access, 1)["sid"] != nil {
		t.Fatal("the ID token has no sid, or the access token has one")
	}
	create := func(token, user string) sidecartest.Answer {
		t.Helper()
		got := s.Create(token, `{"user_id":"`+user+`"}`)
		sidecartest.WantStatus(t, got, http.StatusOK)
		return got
	}
	over := []sidecartest.Answer{create(alice.ID, "alice"), create(alice.Access, "alice")}
	kept := []sidecartest.Answer{create(elsewhere.ID, "alice"), create(bob.ID, "bob"), create(bob.Access, "bob")}

	signOut(t, browser, issuer.url, alice.ID)
	s.WaitLog("sessions revoked by their issuer", `"kind":"backchannel-logout"`, `"named":"sub and sid"`, `"sessions":2`)
	for _, session := range over {
		sidecartest.WantProblem(t, s.Refresh(session.Text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	}
	for _, session := range kept {
		sidecartest.WantStatus(t, s.Refresh(session.Text("refresh_token")), http.StatusOK)
	}
	sidecartest.WantStatus(t, s.Create(alice.ID, `{"user_id":"alice"}`), http.StatusForbidden)
	sidecartest.WantStatus(t, s.Create(alice.Access, `{"user_id":"alice"}`), http.StatusForbidden)
	_, again := signIn("alice")
	create(again.ID, "alice")
	s.WantNoToken()
}

// signOut signs a person out at the provider (RP-Initiated Logout 1.0 section 2).
func signOut(t *testing.T, browser *http.Client, provider, idToken string) {
	t.Helper()
	asked := browse(t, browser, http.MethodGet, provider+"/session/end?id_token_hint="+idToken, nil)
	xsrf := hiddenXSRF.FindStringSubmatch(asked.text)
	if xsrf == nil {
		t.Fatalf("the provider asks nothing: %s", asked.text)
	}
	browse(t, browser, http.MethodPost, provider+"/session/end/confirm", url.Values{"xsrf": {xsrf[1]}, "logout": {"yes"}})
}

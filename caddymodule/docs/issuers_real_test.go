package docs

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// resource is what the tokens of the issuers are for.
const resource = "https://app.example.com/auth/sessions"

// A scripted login, a code and PKCE give a person access token and ID token; client credentials
// give a machine its own.
//
// Covers V18, V25, J4.
func TestRealIssuers_OIDCProvider(t *testing.T) {
	t.Parallel()
	issuer := nodeIssuer(t, "oidc-provider")
	page := startReal(t, "oidc-provider", issuer)
	alice := issuer.signIn(t, "app", "app-secret", url.Values{"resource": {resource}}, func(_ *url.URL, form string) url.Values {
		if strings.Contains(form, `value="consent"`) {
			return url.Values{"prompt": {"consent"}}
		}
		return url.Values{"prompt": {"login"}, "login": {"alice"}, "password": {"any"}}
	})
	desk := func(resource string) string {
		return issuer.clientCredentials(t, "desk", "desk-secret", url.Values{"resource": {resource}, "scope": {"sessions:impersonate"}})
	}
	page.wantReal(t, alice.Access, expected{block: 1, outcome: self, user: "alice"})
	page.wantReal(t, desk(resource), expected{block: 1, outcome: impersonation}, expected{block: 1, outcome: machine, user: "desk"})
	page.wantReal(t, desk("https://other.example.com"), expected{block: 1, outcome: refused, user: "desk", reason: "audience"})
	page.wantReal(t, alice.ID, expected{block: 1, outcome: refused, user: "alice", reason: "audience"}, expected{block: 2, outcome: self, user: "alice"})
	page.wantReal(t, alice.Access, expected{block: 2, outcome: refused, user: "alice", reason: "audience"})
	page.wantRotation(t, issuer, 1, func() string { return desk(resource) })
}

// The tokens of the library that Zitadel is built on: its ID tokens have the audience of its
// access tokens, and nothing says what they are but what they lack.
//
// Covers V25, J4.
func TestRealIssuers_Zitadel(t *testing.T) {
	t.Parallel()
	issuer := zitadelIssuer(t)
	page := startReal(t, "Zitadel", issuer)
	signIn := func(user string) tokens {
		return issuer.signIn(t, "1696@project", "secret", nil, func(at *url.URL, _ string) url.Values {
			return url.Values{"id": {at.Query().Get("authRequestID")}, "username": {user}, "password": {"verysecure"}}
		})
	}
	alice, support := signIn("test-user@127.0.0.1"), signIn("test-user2")
	desk := func() string {
		return issuer.clientCredentials(t, "sid1", "verysecret", url.Values{"scope": {"openid"}})
	}
	page.wantReal(t, alice.Access, expected{block: 1, outcome: self, user: "id1"})
	page.wantReal(t, support.Access, expected{block: 1, outcome: impersonation})
	page.wantReal(t, desk(), expected{block: 1, outcome: impersonation}, expected{block: 1, outcome: machine, user: "sid1"})
	page.wantReal(t, alice.ID, expected{block: 1, outcome: refused, user: "id1", reason: "only"})
	page.wantRotation(t, issuer, 1, desk)
}

// better-auth has no discovery document and no machines: people sign up, and its session gives
// them a token.
//
// Covers J4.
func TestRealIssuers_BetterAuth(t *testing.T) {
	t.Parallel()
	issuer := nodeIssuer(t, "better-auth")
	issuer.ask(t, "GET", "/api/auth/jwks", "", "") // its first key is made for who asks first, and once more for who asks meanwhile
	page := startReal(t, "better-auth", issuer)
	signUp := func(name string) (user, session string) {
		body := fmt.Sprintf(`{"name":%q,"email":"%s@example.com","password":"correct horse"}`, name, name)
		got := issuer.ask(t, "POST", "/api/auth/sign-up/email", "application/json", body)
		account, _ := got.Fields["user"].(map[string]any)
		user, _ = account["id"].(string)
		return user, got.Header.Get("Set-Cookie")
	}
	token := func(session string) string {
		return issuer.ask(t, "GET", "/api/auth/token", "", "", "Cookie", session).Text("token")
	}
	alice, aliceIn := signUp("alice")
	_, deskIn := signUp("desk")
	page.wantReal(t, token(aliceIn), expected{block: 1, outcome: self, user: alice})
	page.wantReal(t, token(deskIn), expected{block: 1, outcome: impersonation})
	page.wantRotation(t, issuer, 1, func() string { return token(deskIn) })
}

// startReal runs Caddy with the blocks of a section, and with a site for each that has another
// audience, all of them trusting the issuer.
func startReal(t *testing.T, section string, issuer *realIssuer) *realPage {
	t.Helper()
	page := &realPage{newIssuersPage(t), section}
	page.real = map[string]string{section: issuer.url}
	var all strings.Builder
	for i := range page.blocks[section] {
		for _, change := range []string{"", onlySelf, otherAudience} {
			all.WriteString(page.site(t, expected{section: section, block: i + 1, change: change}))
		}
	}
	page.Start(all.String())
	return page
}

// A realPage is the page with the blocks of one section at work.
type realPage struct {
	*issuersPage

	section string
}

// wantReal expects that of a token; and that nobody whom it is not for takes it.
func (p *realPage) wantReal(t *testing.T, token string, wants ...expected) {
	t.Helper()
	sidecartest.Remember(token)
	for _, want := range wants {
		want.section = p.section
		p.try(t, want, token)
		if want.outcome == refused {
			p.WaitLog(`"bearer token refused"`, `"issuer":"`+want.site()+`"`, `"reason":"`+want.reason+`"`)
			continue
		}
		want.change, want.outcome = otherAudience, refused
		p.try(t, want, token)
	}
}

// wantRotation expects that a token of a new key is taken at once, and that one of the key before
// is still.
func (p *realPage) wantRotation(t *testing.T, issuer *realIssuer, block int, token func() string) {
	t.Helper()
	before := token()
	sidecartest.WantStatus(t, issuer.ask(t, "POST", "/rotate", "", ""), http.StatusOK)
	after := token()
	if kid := sidecartest.Part(t, after, 0)["kid"]; kid == nil || kid == sidecartest.Part(t, before, 0)["kid"] {
		t.Fatalf("the issuer signs with the key %v still", kid)
	}
	want := expected{section: p.section, block: block, outcome: impersonation}
	p.try(t, want, after)
	p.try(t, want, before)
}

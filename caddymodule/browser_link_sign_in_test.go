package caddymodule_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// deskSite is signInSite whose people may impersonate, by API.
func deskSite(t *testing.T) (*sidecar, *signintest.Provider) {
	t.Helper()
	provider := signintest.NewProvider(t, "site")
	s := newSidecar(t)
	s.StartSignIn(sidecartest.SignInSite{
		Provider: provider.URL, App: sidecartest.Echo(t), Trust: "insecure_http", Block: "allow scope sessions:impersonate from " + provider.URL,
	})
	return s, provider
}

// apiToken is a token for our API of whoever the provider knows by that name.
func apiToken(t *testing.T, s *sidecar, p *signintest.Provider, sub string, more string) string {
	t.Helper()
	token := p.AccessToken(s.URL+"/auth/sessions", sub, more)
	sidecartest.Remember(token)
	return token
}

// present sends a code to an endpoint of the page of links.
func (v *visitor) present(to, code string) sidecartest.Answer {
	v.t.Helper()
	req, err := http.NewRequest(http.MethodPost, v.site+"/auth/sessions/open/"+to, strings.NewReader(url.Values{"code": {code}}.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := v.Do(req) //nolint:bodyclose // Read closes it
	if err != nil {
		v.t.Fatal(err)
	}
	got, err := sidecartest.Read(resp)
	if err != nil {
		v.t.Fatal(err)
	}
	return got
}

// A link of a person who signs in here opens where they are signed in, and nowhere else; the page
// leads through the sign-in and back.
func TestLink_APersonOpensItWhereTheyAreSignedIn(t *testing.T) {
	t.Parallel()
	s, provider := deskSite(t)
	visitorNamed := func(sub string) *visitor {
		v := newVisitor(t, s.Sidecar)
		if sub != "" {
			provider.Change(func() { provider.Claims = signintest.Object{"sub": sub} })
			v.signIn("/")
		}
		return v
	}
	carol := visitorNamed("carol")
	h := s.handOver(apiToken(t, s, provider, "carol", ""), ticket)
	for what, elsewhere := range map[string]*visitor{"nobody": visitorNamed(""), "somebody else": visitorNamed("dave")} {
		for _, to := range []string{"preview", "confirm"} {
			got := elsewhere.present(to, h.code)
			wantProblem(t, what, got, 403, "sign_in_required")
			if strings.Contains(got.Body, "alice") || strings.Contains(got.Body, "ticket 4711") {
				t.Errorf("%s is told whom it is for: %s", what, got.Body)
			}
		}
	}
	late := visitorNamed("")
	page := late.goTo(s.URL + "/auth/sessions/open")
	sidecartest.WantIn(t, page.Body, `data-sign-in="/auth/sessions/sign-in"`, "sessionStorage.removeItem")
	provider.Change(func() { provider.Claims = signintest.Object{"sub": "carol"} })
	late.signIn("/auth/sessions/open")
	sidecartest.WantStatus(t, late.present("preview", h.code), 200)

	own, _ := carol.tokens()
	sidecartest.WantStatus(t, carol.present("preview", h.code), 200)
	got := carol.present("confirm", h.code)
	sidecartest.WantStatus(t, got, 303)
	sidecartest.WantHeaders(t, got, "Location", "/orders?id=1")
	if now, _ := carol.tokens(); now != own {
		t.Error("carol's own session moved")
	}
	wantTold(t, carol.goTo(s.URL+"/app"), "X-Auth-User", "alice")
	wantProblem(t, "again", late.present("confirm", h.code), 400, "invalid_link")
	sidecartest.WantIn(t, s.Log(), `"by":"carol"`)
}

// The link of a machine is for whoever has it: nobody signs in as one.
func TestLink_OfAMachineIsForWhoeverHasIt(t *testing.T) {
	t.Parallel()
	s, provider := deskSite(t)
	h := s.handOver(apiToken(t, s, provider, "helpdesk", `,"azp":"helpdesk"`), ticket)
	v := newVisitor(t, s.Sidecar)
	sidecartest.WantStatus(t, v.present("confirm", h.code), 303)
	wantTold(t, v.goTo(s.URL+"/app"), "X-Auth-Actor", "helpdesk")
}

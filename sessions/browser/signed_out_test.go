package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Who comes to the page with a session in their cookies does not read that they are signed out.
func TestSignedOut_SaysSoToNobodyWhoHasASession(t *testing.T) {
	t.Parallel()
	api := New(Config{Path: "/auth/sessions", Authenticator: &Authenticator{Jar: NewJar("s", false)}, Links: &Links{}})
	for cookies, want := range map[string]string{
		"":               "You are signed out",
		"other=a":        "You are signed out",
		"s=a":            "You may still be signed in",
		"s-as-refresh=a": "You may still be signed in",
	} {
		r := httptest.NewRequest("GET", "/auth/sessions/signed-out", nil)
		r.Header.Set("Cookie", cookies)
		w := httptest.NewRecorder()
		api.Serve(w, r, api.Route(r))
		if got := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(got, want) || strings.Contains(got, "You are signed out") != strings.HasPrefix(want, "You are") {
			t.Errorf("%q: %d, %s", cookies, w.Code, got)
		}
	}
}

// An answer of the app that leads nowhere, as its status says it would, is left as it is.
func TestSignOut_ARedirectWithoutALocationLeadsNowhere(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "https://app.example.com/logout", nil)
	for location, want := range map[string]string{"": "", "/bye": "/bye", "https://app.example.com/bye": "/bye", "https://other.example.com/": ""} {
		h := http.Header{}
		if location != "" {
			h.Set("Location", location)
		}
		if path, ok := leadsOn(r, http.StatusFound, h); path != want || ok != (want != "") {
			t.Errorf("%q leads to %q (%t), not %q", location, path, ok, want)
		}
	}
}

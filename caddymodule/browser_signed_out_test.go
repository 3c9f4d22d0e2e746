package caddymodule_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A browser keeps the page that somebody left for its back button. Whoever signs out, here or in the
// app, goes on over a page of ours, after which it keeps none.
func TestSignOut_GoesOnOverAPageAfterWhichTheBrowserKeepsNone(t *testing.T) {
	t.Parallel()
	s, idp := signOutSite(t, "")
	navigate := append([]string{"Sec-Fetch-Mode", "navigate", "Content-Type", "application/x-www-form-urlencoded"}, sameOrigin...)
	over := func(to string) string { return "signed-out?" + url.Values{"return_to": {to}}.Encode() }
	for name, tt := range map[string]struct {
		path, body string
		header     []string
		want       string // Location
	}{
		"close":                             {"/auth/sessions/close", "return_to=/bye", navigate, over("/bye")},
		"close, to nowhere":                 {"/auth/sessions/close", "", navigate, over("/")},
		"close, to a hostile place":         {"/auth/sessions/close", "return_to=//evil.example.com", navigate, over("/")},
		"close, by a script":                {"/auth/sessions/close", "return_to=/bye", append([]string{"Content-Type", "application/x-www-form-urlencoded"}, sameOrigin...), "/bye"},
		"the app's":                         {"/logout?status=303&Location=/bye%3Fx", "", navigate, "/auth/sessions/" + over("/bye?x")},
		"the app's, as seen from its page":  {"/logout?status=302&Location=bye", "", navigate, "/auth/sessions/" + over("/bye")},
		"the app's, with the host":          {"/logout?status=303&Location=" + url.QueryEscape(s.URL+"/bye"), "", navigate, "/auth/sessions/" + over("/bye")},
		"the app's, to another site":        {"/logout?status=303&Location=https://idp.example.com/", "", navigate, "https://idp.example.com/"},
		"the app's, to what may be another": {"/logout?status=303&Location=" + url.QueryEscape(`/\evil.example.com`), "", navigate, `/\evil.example.com`},
		"the app's, to nowhere":             {"/logout?status=303", "", navigate, ""},
		"the app's, that sends it again":    {"/logout?status=307&Location=/bye", "", navigate, "/bye"},
	} {
		p := s.newPerson()
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
		got := p.post(tt.path, tt.body, tt.header)
		if got.Header.Get("Location") != tt.want || got.Header.Get("Clear-Site-Data") != `"cache"` {
			t.Errorf("%s: %d %v, want %q", name, got.Status, got.Header, tt.want)
		}
	}
}

func TestSignOut_ThePageGoesOnByItself(t *testing.T) {
	t.Parallel()
	s, _ := signOutSite(t, "")
	visit := func(query string, header ...string) sidecartest.Answer {
		t.Helper()
		got := s.through("GET", "/auth/sessions/signed-out"+query, header...)
		sidecartest.WantHeaders(t, got, "Cache-Control", "no-store", "Referrer-Policy", "same-origin")
		return got
	}
	person := []string{"Sec-Fetch-Mode", "navigate"}
	got := visit("?return_to=/bye%3Fx%3D1", person...)
	sidecartest.WantStatus(t, got, http.StatusOK)
	next, goesOn := strings.CutPrefix(got.Header.Get("Refresh"), "0;url=")
	if !goesOn || !strings.Contains(got.Body, `href="`+strings.ReplaceAll(next, "&", "&amp;")+`"`) {
		t.Errorf("it leads to %q\n%s", got.Header.Get("Refresh"), got.Body)
	}
	got = visit(next, person...)
	sidecartest.WantStatus(t, got, http.StatusSeeOther)
	sidecartest.WantHeaders(t, got, "Location", "/bye?x=1", "Clear-Site-Data", `"cache"`)
	for _, to := range []string{"//evil.example.com", `/\evil.example.com`, "https://evil.example.com", "/\t/evil.example.com", strings.Repeat("/a", 1500)} {
		sidecartest.WantHeaders(t, visit("?"+url.Values{"return_to": {to}, "seen": {""}}.Encode(), person...), "Location", "/")
	}

	got = visit("", person...) // where the provider sends them
	sidecartest.WantStatus(t, got, http.StatusOK)
	sidecartest.WantHeaders(t, got, "Refresh", "", "Clear-Site-Data", `"cache"`)
	sidecartest.WantHeaders(t, visit("", "Sec-Fetch-Mode", "no-cors"), "Clear-Site-Data", "") // an image of another site's
}

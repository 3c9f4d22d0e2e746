package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPage_SaysWhatTheProblemSaysAndLoadsNothing(t *testing.T) {
	p := NewProblem(403, "read_only", "Look & see", "You may <look>.")
	w := httptest.NewRecorder()
	p.WritePage(w, Link{"Back & on", `/a"b?c=d&e`})
	for _, want := range []string{"<title>Look &amp; see</title>", "<p>You may &lt;look&gt;.</p>", "403 read_only", `<a href="/a%22b?c=d&amp;e">Back &amp; on</a>`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Content-Security-Policy": policyOf(PageStyle), "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); w.Code != 403 || got != want {
			t.Errorf("%d, %s: %q", w.Code, name, got)
		}
	}
}

// The policy lets a page have its style, and nothing else.
func TestPage_ThePolicyNamesTheStyleThatThePageHas(t *testing.T) {
	w := httptest.NewRecorder()
	ErrMethod.WritePage(w)
	_, style, _ := strings.Cut(w.Body.String(), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	if style != PageStyle {
		t.Errorf("the style is not as it is hashed:\n%s", style)
	}
	if policy := policyOf(PageStyle); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
}

// A person who comes to one of our addresses reads a page, and a program problem details; both learn
// how to authenticate, and which methods there are.
func TestPage_APersonReadsOneWhateverIsRefused(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		method, path string
		status       int
		header, want string
		start        bool
	}{
		{"GET", "/auth/sessions/nothing", 404, "", "", true},
		{"GET", "/auth/sessions/current/refresh", 405, "Allow", "POST", true},
		{"GET", "/auth/sessions", 401, "WWW-Authenticate", "Bearer", true},
	} {
		for mode, media := range map[string]string{"navigate": "text/html; charset=utf-8", "cors": "application/problem+json"} {
			r, w := httptest.NewRequest(c.method, c.path, http.NoBody), httptest.NewRecorder()
			r.Header.Set("Sec-Fetch-Mode", mode)
			f.api.Serve(w, r, f.api.Route(r))
			h := w.Header()
			if w.Code != c.status || h.Get("Content-Type") != media || h.Get(c.header) != c.want || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s by %s: %d %v", c.path, mode, w.Code, h)
			}
			if leads := strings.Contains(w.Body.String(), `<a href="/">`); leads != (c.start && mode == "navigate") {
				t.Errorf("%s by %s: %s", c.path, mode, w.Body)
			}
		}
	}
}

// A person without a token reads that, and is led to the sign-in where there is one; a program
// reads what to send.
func TestPage_APersonWithoutATokenIsLedToTheSignIn(t *testing.T) {
	for signIn, want := range map[string]string{"": `<a href="/">Go to the start page</a>`, "/auth/sessions/sign-in": `<a href="/auth/sessions/sign-in">Sign in</a>`} {
		f := newFixture(t)
		f.api.SignIn = signIn
		answer := func(mode string) *httptest.ResponseRecorder {
			r, w := httptest.NewRequest("GET", "/auth/sessions", http.NoBody), httptest.NewRecorder()
			r.Header.Set("Sec-Fetch-Mode", mode)
			f.api.Serve(w, r, f.api.Route(r))
			return w
		}
		if got := answer("navigate"); got.Code != 401 || !strings.Contains(got.Body.String(), want) || !strings.Contains(got.Body.String(), "<p>You are not signed in") {
			t.Errorf("a person: %d %s", got.Code, got.Body)
		}
		if got := answer("cors"); got.Code != 401 || !strings.Contains(got.Body.String(), `"detail":"`+problemNoToken.Detail+`"`) || problemNoToken.Detail == pageNoToken {
			t.Errorf("a program: %d %s", got.Code, got.Body)
		}
	}
}

// A program reads problem details also where it accepts HTML, as Java's URLConnection says by default,
// unless a browser that sends no Sec-Fetch-Mode could have sent the request.
func TestPage_AProgramReadsProblemDetailsWhateverItAccepts(t *testing.T) {
	const java = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
	f := newFixture(t)
	for name, c := range map[string]struct {
		method, path string
		page         bool
		header       http.Header
	}{
		"a token":                   {"GET", "/auth/sessions", false, http.Header{"Accept": {java}, "Authorization": {"Bearer x.y.z"}}},
		"a JSON body":               {"POST", "/auth/sessions", false, http.Header{"Accept": {java}, "Content-Type": {"application/json"}}},
		"JSON or HTML":              {"GET", "/auth/sessions", false, http.Header{"Accept": {"application/json, text/html;q=0.5"}}},
		"an old browser":            {"GET", "/auth/sessions", true, http.Header{"Accept": {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}},
		"its form":                  {"POST", "/auth/sessions", true, http.Header{"Accept": {"text/html"}, "Content-Type": {"application/x-www-form-urlencoded"}}},
		"its password for the site": {"GET", "/auth/sessions", true, http.Header{"Accept": {"text/html"}, "Authorization": {"Basic eDp5"}}},
	} {
		r, w := httptest.NewRequest(c.method, c.path, http.NoBody), httptest.NewRecorder()
		r.Header = c.header
		f.api.Serve(w, r, f.api.Route(r))
		if page := w.Header().Get("Content-Type") == "text/html; charset=utf-8"; page != c.page || w.Code < 400 {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/urlpath"
)

// routed returns a request as the app gets it where it is the app's, and whose it is.
func routed(t *testing.T, method, target string) (*http.Request, urlpath.Owner) {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("parsing %q: %v", target, err)
	}
	r := httptest.NewRequest(method, "/", nil)
	r.URL = u
	return r, ownerOf(New(Config{Path: "/auth/sessions"}), r)
}

// ownerOf returns whose a request is; where the app gets it without overrides, they are dropped.
func ownerOf(a *API, r *http.Request) urlpath.Owner {
	owner := a.Route(r).Owner
	if owner == urlpath.PassPlain {
		DropOverrides(r)
		return urlpath.Pass
	}
	return owner
}

func TestH6_SpellingsOfOurPath(t *testing.T) {
	tests := map[urlpath.Owner][]string{
		urlpath.Ours: {
			"/auth/sessions", "/auth/sessions?x=y", "/AUTH/Sessions", "//auth///sessions", "/auth/./sessions", "/x/../auth/sessions",
			"/%61uth/sessions", "/auth%2fsessions", "/auth/%2e/sessions", "/../auth/sessions", "/auth/sessions/.", "http://other.example.com/auth/sessions",
		},
		urlpath.Alias: {
			"//x/auth/sessions", "///user@x:80/auth/sessions", `/\x/auth/sessions`, "/%2Fx/auth/sessions",
			"/auth/sessions/", "/auth/sessions//", "/auth/sessions;x", "/auth;v=1/sessions", "/auth/sessions%3bx", "/auth/sessions%20",
			"/%20auth/sessions", "/auth/sessions%00", "/auth/sessions%00.png", "/auth%5csessions", `/auth\sessions`, "/auth/sessions%2f",
			"/auth%252fsessions", "/auth/%252e/sessions", "/%2561uth/sessions", "/%252561uth/sessions", "/auth/sessions%0a", "/auth/sessions%09",
			"/auth/sessions.", "/auth/se\u017f\u017fions", "/auth/\uff53essions", "/auth/se%C5%BF%C5%BFions", "/auth/%EF%BD%93essions", "/auth/sessions%e3%80%80", "/auth/sessions%ff", "/auth/sessions/;x",
			"/auth/sessions%c2%a0", "/auth/..;/auth/sessions", "x:auth/sessions", "http:auth/sessions", "x:%2fauth/sessions",
			"/auth/%2573essions;%25zz", "/auth%252fsessions;%25zz", "/auth/sessions%3fx", "/auth/sessions%23x", "/auth/sessions%e2%80%8b", "/auth/sessions%c2%ad", "/auth/sessions%ef%bb%bf",
			"/index.php/auth/sessions", "/auth/sessions/..", "/auth/x/..;/sessions",
		},
		urlpath.Pass: {
			"/", "/auth", "/auth/session", "/auth/sessionss", "/auth/sessions/current", "/auth/sessions/x", "/x/auth/sessions", "/auth/sessions.json",
			"/auth-sessions", "/authsessions", "/auth/ses%2fsions", "/a%20b", "/%E4%BD%A0", "/?p=/auth/sessions", "//x/y", "/a%2Fb", "*",
		},
	}
	for want, targets := range tests {
		for _, target := range targets {
			if _, got := routed(t, "POST", target); got != want {
				t.Errorf("POST %s: owner %v, want %v", target, got, want)
			}
		}
	}
}

// With an assertion alone only the public keys are ours beside the path itself.
func TestH6_SpellingsOfTheKeySet(t *testing.T) {
	a := New(Config{Path: "/auth/sessions", KeySet: true})
	for target, want := range map[string]urlpath.Owner{
		"/auth/sessions/jwks.json": urlpath.Ours, "/Auth/Sessions/JWKS.json": urlpath.Ours, "//x/auth/sessions/jwks.json": urlpath.Alias, "/auth/sessions/jwks.json;x": urlpath.Alias, "/auth/sessions/jwks.json/": urlpath.Alias,
		"/auth/sessions": urlpath.Pass, "/auth/sessions/x": urlpath.Pass, "/jwks.json": urlpath.Pass, "//x/auth/sessions": urlpath.Pass,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := httptest.NewRequest(method, "/", nil)
			r.URL, _ = url.ParseRequestURI(target)
			if got := a.Route(r).Owner; got != want {
				t.Errorf("%s %s: owner %v, want %v", method, target, got, want)
			}
		}
		r := httptest.NewRequest("DELETE", "/", nil)
		r.URL, _ = url.ParseRequestURI(target)
		if got := a.Route(r).Owner; got != urlpath.Pass {
			t.Errorf("DELETE %s: owner %v", target, got)
		}
	}
}

func TestH5_OtherMethodsAreTheApps(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"} {
		if _, got := routed(t, method, "/auth/sessions"); got != urlpath.Pass {
			t.Errorf("%s: owner %v, want Pass", method, got)
		}
	}
}

func TestH5_PostInAnotherCaseIsNotTheApps(t *testing.T) {
	if _, got := routed(t, "post", "/auth/sessions"); got != urlpath.Ours {
		t.Errorf("owner %v, want Ours, which answers 405", got)
	}
}

func TestLifecycle_OwnsAllBelowThePath(t *testing.T) {
	a := New(Config{Path: "/auth/sessions", Lifecycle: true})
	for target, want := range map[string]urlpath.Owner{
		"/auth/sessions": urlpath.Ours, "/auth/sessions/current": urlpath.Ours, "/AUTH//sessions/x/y": urlpath.Ours, "/auth/sessions/": urlpath.Ours, "/auth/sessionsx": urlpath.Pass, "//x/auth/sessions/y": urlpath.Alias,
		"/auth/sessions;x/current": urlpath.Alias, "/auth%252fsessions/current": urlpath.Alias, "/auth/sessions%5ccurrent": urlpath.Alias, "/auth": urlpath.Pass, "/x/auth/sessions/current": urlpath.Pass,
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "POST", "OPTIONS", "DELETE"} {
			r := httptest.NewRequest(method, "/", nil)
			r.URL = u
			if got := a.Route(r).Owner; got != want {
				t.Errorf("%s %s: owner %v, want %v", method, target, got, want)
			}
		}
	}
}

func TestH5_AMethodOverrideCannotReachTheAppOnOurPath(t *testing.T) {
	tests := []struct{ target, query string }{
		{"/auth/sessions?_method=POST&a=b", "a=b"},
		{"/auth/sessions/?a=b&_METHOD=post", "a=b"},
		{"/auth//sessions?%5fmethod=post", ""},
		{"/auth/sessions;x?_method", ""},
		{"/auth/sessions?a=1;_method=POST", "a=1"},
		{"/app?_method=POST", "_method=POST"},
		{"/auth/sessions?my_methods=1", "my_methods=1"},
	}
	for _, tt := range tests {
		r, _ := routed(t, "GET", tt.target)
		if r.URL.RawQuery != tt.query {
			t.Errorf("GET %s: query %q, want %q", tt.target, r.URL.RawQuery, tt.query)
		}
	}
	for target, want := range map[string]string{"/auth/sessions": "", "/auth/sessions/": "", "/app": "POST"} {
		for _, name := range overrideHeaders {
			u, _ := url.Parse(target)
			r := httptest.NewRequest("GET", "/", nil)
			r.URL = u
			r.Header.Set(name, "POST")
			ownerOf(New(Config{Path: "/auth/sessions"}), r)
			if got := r.Header.Get(name); got != want {
				t.Errorf("GET %s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}

func TestRoute_DoesNotAllocateForTheApp(t *testing.T) {
	a := New(Config{Path: "/auth/sessions"})
	for _, method := range []string{"GET", "POST"} {
		r := httptest.NewRequest(method, "/api/v1/things/4711?page=2", nil)
		if n := testing.AllocsPerRun(100, func() { a.Route(r) }); n != 0 {
			t.Errorf("%s: %v allocations", method, n)
		}
	}
}

// What Route found is all that Serve needs: the path is matched once.
func TestServe_MatchesThePathNoSecondTime(t *testing.T) {
	a := New(Config{Path: "/auth/sessions", Lifecycle: true, Keys: func() []*jose.Key { return nil }})
	r := httptest.NewRequest("GET", "/AUTH//sessions/jwks.json", nil)
	m := a.Route(r)
	r.URL = &url.URL{Path: "/elsewhere"}
	w := httptest.NewRecorder()
	a.Serve(w, r, m)
	if w.Code != http.StatusOK || w.Body.String() != `{"keys":[]}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

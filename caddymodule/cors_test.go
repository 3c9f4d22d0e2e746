package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

const (
	spa  = "https://spa.example.com"
	evil = "https://evil.example.com"
)

// fromOrigin sends a request as a browser does for a script; method OPTIONS with asked is a preflight.
func fromOrigin(t *testing.T, s *sidecartest.Sidecar, origin, method, path, asked string) sidecartest.Answer {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	if asked != "" {
		req.Header.Set("Access-Control-Request-Method", asked)
		req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
	}
	got, err := s.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantAllowed(t *testing.T, got sidecartest.Answer, origin string) {
	t.Helper()
	sidecartest.WantHeaders(t, got, "Access-Control-Allow-Origin", origin, "Access-Control-Allow-Credentials", "")
	if vary := strings.Join(got.Header.Values("Vary"), ", "); vary != "Origin" {
		t.Errorf("Vary: %q", vary)
	}
}

// corsApp is an app with a policy of its own.
func corsApp(t *testing.T) string {
	return sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("X-App", r.Method+" "+r.URL.Path+" "+r.Header.Get("Origin")+" "+r.Header.Get("Access-Control-Request-Method"))
		w.WriteHeader(http.StatusTeapot)
	})
}

func TestCORS_ScriptsOfNamedOriginsReadEveryAnswer(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, corsApp(t), sidecartest.Lifecycle+"\n\t\tcors "+spa+" http://localhost:5173"))
	tests := map[string]struct {
		method, path string
		status       int
	}{
		"no token":            {"POST", "/auth/sessions", 401},
		"a list":              {"GET", "/auth/sessions", 401},
		"a refresh":           {"POST", "/auth/sessions/current/refresh", 415},
		"the public keys":     {"GET", "/auth/sessions/jwks.json", 200},
		"another method":      {"PUT", "/auth/sessions", 405},
		"OPTIONS":             {"OPTIONS", "/auth/sessions", 405},
		"nothing":             {"GET", "/auth/sessions/nothing", 404},
		"a variant of a path": {"GET", "/auth/sessions/", 404},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, origin := range []string{spa, "http://localhost:5173"} {
				got := fromOrigin(t, s, origin, tc.method, tc.path, "")
				sidecartest.WantStatus(t, got, tc.status)
				wantAllowed(t, got, origin)
				sidecartest.WantHeaders(t, got, "Access-Control-Expose-Headers", "ETag, Retry-After, WWW-Authenticate")
			}
			got := fromOrigin(t, s, evil, tc.method, tc.path, "")
			sidecartest.WantStatus(t, got, tc.status)
			wantAllowed(t, got, "")
		})
	}
	plain := s.Get("GET", "/auth/sessions/jwks.json") // what a cache keeps must not be for everybody
	wantAllowed(t, plain, "")
}

func TestCORS_PreflightsAreAnsweredForWhatWeServe(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	for name, tc := range map[string]struct {
		words string
		ours  []string // method and path
		apps  []string
	}{
		"a whole life": {sidecartest.Lifecycle, []string{"POST /auth/sessions", "DELETE /auth/sessions", "POST /auth/sessions/current/refresh"}, []string{"GET /", "POST /api"}},
		"a bare block": {"", []string{"POST /auth/sessions"}, []string{"GET /auth/sessions", "DELETE /auth/sessions", "POST /auth/sessions/current/refresh", "POST /"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sidecartest.New(t)
			s.Start(provider.Site(s, corsApp(t), tc.words+"\n\t\tidentity {\n\t\t\trequire\n\t\t}\n\t\tcors "+spa))
			for _, ours := range tc.ours {
				method, path, _ := strings.Cut(ours, " ")
				got := fromOrigin(t, s, spa, "OPTIONS", path, method)
				sidecartest.WantStatus(t, got, http.StatusNoContent)
				wantAllowed(t, got, spa)
				sidecartest.WantHeaders(t, got, "Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE", "Access-Control-Max-Age", "7200", "Cache-Control", "no-store",
					"Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-None-Match", "X-App", "")
				got = fromOrigin(t, s, evil, "OPTIONS", path, method)
				sidecartest.WantStatus(t, got, http.StatusNoContent)
				wantAllowed(t, got, "")
				sidecartest.WantHeaders(t, got, "Access-Control-Allow-Methods", "", "X-App", "")
			}
			for _, apps := range tc.apps {
				method, path, _ := strings.Cut(apps, " ")
				for _, origin := range []string{spa, evil} {
					got := fromOrigin(t, s, origin, "OPTIONS", path, method)
					sidecartest.WantStatus(t, got, http.StatusTeapot)
					sidecartest.WantHeaders(t, got, "Access-Control-Allow-Origin", "*", "X-App", "OPTIONS "+path+" "+origin+" "+method, "Vary", "", "Access-Control-Allow-Methods", "")
				}
			}
		})
	}
}

func TestCORS_AnswersWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Write("down", "")
	s.Start(provider.Site(s, corsApp(t), sidecartest.Lifecycle+"\n\t\tstore test_switch DIR/down\n\t\tcors "+spa))
	sidecartest.WantStatus(t, fromOrigin(t, s, spa, "OPTIONS", "/auth/sessions", "POST"), http.StatusNoContent)
	got := fromOrigin(t, s, spa, "GET", "/auth/sessions", "")
	sidecartest.WantStatus(t, got, http.StatusServiceUnavailable)
	wantAllowed(t, got, spa)
}

// Without the word nothing changes: OPTIONS is the app's, or no method of ours.
func TestCORS_IsOffWithoutTheWord(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	for words, status := range map[string]int{"": http.StatusTeapot, sidecartest.Lifecycle: http.StatusMethodNotAllowed} {
		s := sidecartest.New(t)
		s.Start(provider.Site(s, corsApp(t), words))
		got := fromOrigin(t, s, spa, "OPTIONS", "/auth/sessions", "POST")
		sidecartest.WantStatus(t, got, status)
		sidecartest.WantHeaders(t, got, "Vary", "")
	}
}

package cors_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"authsidecar/sessions/cors"
)

const spa = "https://spa.example.com"

func TestCheck_TakesWhatBrowsersSend(t *testing.T) {
	tests := map[string]string{ // and what the error has
		spa:                             "",
		"https://spa.example.com:8443":  "",
		"http://localhost:5173":         "",
		"http://[::1]:5173":             "",
		"capacitor://localhost":         "",
		"https://xn--mller-kva.example": "",
		"https://spa.example.com:65535": "",
		"https://müller.example":        "https://xn--mller-kva.example",
		"https://spa.example.com:":      "leave it out with its colon",
		"https://[::1]:":                "leave it out with its colon",
		"https://spa.example.com:0443":  "without leading zeros",
		"https://spa.example.com:0":     "without leading zeros",
		"https://spa.example.com:65536": "65535",
		"file://x":                      "no origin with this scheme",
		"ws://spa.example.com":          "no origin with this scheme",
		"*":                             "wildcard",
		"https://*.example.com":         "wildcard",
		"null":                          "not an origin",
		"spa.example.com":               "not an origin",
		"https://":                      "not an origin",
		"https://u@spa.example.com":     "not an origin",
		"https://spa.example.com/":      "write https://spa.example.com",
		"https://spa.example.com/app":   "write https://spa.example.com",
		"https://spa.example.com?x":     "write https://spa.example.com",
		"https://SPA.example.com":       "write https://spa.example.com",
		"HTTPS://spa.example.com":       "write https://spa.example.com",
		"https://spa.example.com:443":   "write https://spa.example.com",
		"http://spa.example.com:80":     "write http://spa.example.com",
	}
	for origin, want := range tests {
		err := cors.Check(origin)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", origin, err, want)
		}
	}
}

func TestServe_AllowsTheOriginsThatAreNamedAndNoOther(t *testing.T) {
	policy := cors.New([]string{spa})
	tests := map[string]struct {
		method    string
		origin    []string
		preflight string
		allowed   bool
		answered  bool
	}{
		"its script":                 {method: "POST", origin: []string{spa}, allowed: true},
		"its preflight":              {method: "OPTIONS", origin: []string{spa}, preflight: "DELETE", allowed: true, answered: true},
		"its OPTIONS":                {method: "OPTIONS", origin: []string{spa}, allowed: true},
		"no origin":                  {method: "POST"},
		"another":                    {method: "POST", origin: []string{"https://evil.example.com"}},
		"another's preflight":        {method: "OPTIONS", origin: []string{"https://evil.example.com"}, preflight: "POST", answered: true},
		"a sandbox":                  {method: "POST", origin: []string{"null"}},
		"one that begins with it":    {method: "POST", origin: []string{spa + ".evil.example"}},
		"one that ends in it":        {method: "POST", origin: []string{"https://evil-spa.example.com"}},
		"another scheme":             {method: "POST", origin: []string{"http://spa.example.com"}},
		"another port":               {method: "POST", origin: []string{spa + ":8443"}},
		"another case":               {method: "POST", origin: []string{"https://SPA.example.com"}},
		"a list":                     {method: "POST", origin: []string{spa + ", https://evil.example.com"}},
		"two fields":                 {method: "POST", origin: []string{spa, "https://evil.example.com"}},
		"an empty one":               {method: "POST", origin: []string{""}},
		"a preflight without origin": {method: "OPTIONS", preflight: "POST"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, "/auth/sessions", nil)
			r.Header["Origin"] = tc.origin
			if tc.origin == nil {
				delete(r.Header, "Origin")
			}
			if tc.preflight != "" {
				r.Header.Set("Access-Control-Request-Method", tc.preflight)
			}
			w := httptest.NewRecorder()
			if answered := policy.Serve(w, r); answered != tc.answered {
				t.Errorf("answered: %v", answered)
			}
			got := w.Header().Get("Access-Control-Allow-Origin")
			if tc.allowed && got != tc.origin[0] || !tc.allowed && got != "" {
				t.Errorf("it allows %q", got)
			}
			if !tc.allowed {
				for name := range w.Header() {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("it says %s", name)
					}
				}
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Error("it allows credentials")
			}
			if w.Header().Get("Vary") != "Origin" {
				t.Errorf("Vary %q", w.Header().Values("Vary"))
			}
		})
	}
}

func TestAsked_IsWhatThePreflightIsAbout(t *testing.T) {
	policy := cors.New([]string{spa})
	r := httptest.NewRequest(http.MethodOptions, "/auth/sessions", nil)
	if policy.Preflighted(r) != r {
		t.Error("an OPTIONS that is no preflight became another")
	}
	r.Header.Set("Origin", spa)
	r.Header.Set("Access-Control-Request-Method", "POST")
	if got := policy.Preflighted(r); got.Method != "POST" || got.URL != r.URL || r.Method != http.MethodOptions {
		t.Errorf("asked about %s, and it is %s", got.Method, r.Method)
	}
	if (*cors.Policy)(nil).Preflighted(r) != r || (*cors.Policy)(nil).Serve(httptest.NewRecorder(), r) || cors.New(nil) != nil {
		t.Error("no policy does something")
	}
}

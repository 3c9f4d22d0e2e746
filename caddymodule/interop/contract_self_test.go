package interop

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"authsidecar/caddymodule/openapi"
)

// A complaint counts what a contract finds wrong.
type complaint struct {
	testing.TB
	said []string
}

func (c *complaint) Errorf(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

// Fixed answers are all that a server of a lie gives.
type fixed struct{ resp *http.Response }

func (f fixed) RoundTrip(*http.Request) (*http.Response, error) { return f.resp, nil }

func TestContract_FindsWhatIsNotAsDescribed(t *testing.T) {
	const problem = `{"type":"urn:problem-type:auth-sessions:not_found","title":"t","status":404,"detail":"d","code":"not_found"}`
	tests := map[string]struct {
		path, method, media, body string
		status                    int
		header                    [2]string
		lies                      bool
	}{
		"the truth":           {path: "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", status: 404, media: "application/problem+json", body: problem},
		"another status":      {path: "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", status: 418, media: "application/problem+json", body: problem, lies: true},
		"another code":        {path: "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", status: 404, media: "application/problem+json", body: strings.Replace(problem, `"code":"not_found"`, `"code":"gone"`, 1), lies: true},
		"another media type":  {path: "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", status: 404, media: "text/html", body: problem, lies: true},
		"a surplus member":    {path: "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", status: 404, media: "application/problem+json", body: strings.Replace(problem, "{", `{"hint":"x",`, 1), lies: true},
		"no body":             {path: "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", status: 404, media: "application/problem+json", lies: true},
		"a missing header":    {path: "/auth/sessions", status: 401, media: "application/problem+json", body: strings.ReplaceAll(problem, "not_found", "missing_token"), lies: true},
		"another challenge":   {path: "/auth/sessions", status: 401, media: "application/problem+json", body: strings.ReplaceAll(problem, "not_found", "missing_token"), header: [2]string{"WWW-Authenticate", "Basic"}, lies: true},
		"a path of nobody":    {path: "/auth/sessions/x/y", status: 404, media: "application/problem+json", body: problem, lies: true},
		"a method of nobody":  {path: "/auth/sessions", method: "PUT", status: 404, media: "application/problem+json", body: problem, lies: true},
		"a private key":       {path: "/auth/sessions/jwks.json", status: 200, media: "application/jwk-set+json", body: `{"keys":[{"kty":"EC","kid":"1","alg":"ES256","d":"x"}]}`, lies: true},
		"a token in a list":   {path: "/auth/sessions", status: 200, media: "application/json", body: `{"items":[],"next_cursor":null,"refresh_token":"e"}`, lies: true},
		"a time that is none": {path: "/auth_sessions/keys/rotate", method: "POST", status: 200, media: "application/json", body: `{"signing_keys":[{"use":"access","kid":"1","alg":"ES256","state":"next","generated":true,"signs_from":"now"}]}`, lies: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			heard := &complaint{TB: t}
			c := readContract(t, openapi.YAML)
			c.t = heard
			method := "GET"
			if tc.method != "" {
				method = tc.method
			}
			resp := &http.Response{StatusCode: tc.status, Body: io.NopCloser(strings.NewReader(tc.body)), Header: http.Header{
				"Content-Type": {tc.media}, "Cache-Control": {"no-store"}, "Etag": {`"x"`},
			}}
			if tc.header[0] != "" {
				resp.Header.Set(tc.header[0], tc.header[1])
			}
			req, err := http.NewRequest(method, "http://app.example.com"+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := (&watching{contract: c, next: fixed{resp}}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			if body, _ := io.ReadAll(got.Body); string(body) != tc.body {
				t.Errorf("the body became %q", body)
			}
			if found := len(heard.said) > 0; found != tc.lies {
				t.Errorf("it found %q", heard.said)
			}
		})
	}
}

func TestContract_FindsWhatNeverOccurred(t *testing.T) {
	heard := &complaint{TB: t}
	c := readContract(t, openapi.YAML)
	c.t = heard
	c.wantAll()
	all := strings.Join(heard.said, "\n")
	for _, what := range []string{"createSession 422", "adminBackup 501", "409 idempotency_key_spent"} {
		if !strings.Contains(all, what) {
			t.Errorf("%q is not among what never occurred:\n%s", what, all)
		}
	}
}

package sidecartest

import (
	"regexp"
	"strings"
	"testing"
)

// WantStatus ends the test if the status differs.
func WantStatus(t testing.TB, got Answer, status int) {
	t.Helper()
	if got.Status != status {
		t.Fatalf("status %d, want %d: %s", got.Status, status, got.Body)
	}
}

// WantHeaders checks header fields: names and values in turn.
func WantHeaders(t testing.TB, got Answer, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if value := got.Header.Get(pairs[i]); value != pairs[i+1] {
			t.Errorf("%s: %q, want %q", pairs[i], value, pairs[i+1])
		}
	}
}

// WantFields checks fields of a JSON body.
func WantFields(t testing.TB, got Answer, fields map[string]any) {
	t.Helper()
	for name, value := range fields {
		if got.Fields[name] != value {
			t.Errorf("%s is %v, want %v", name, got.Fields[name], value)
		}
	}
}

var instance = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// WithoutInstance returns the body of a problem without the part that is unique to a request.
func WithoutInstance(got Answer) string {
	return strings.Replace(got.Body, got.Text("instance"), "", 1)
}

// WantProblem checks an error response against RFC 9457 and RFC 6750.
func WantProblem(t testing.TB, got Answer, status int, code string) {
	t.Helper()
	WantStatus(t, got, status)
	WantHeaders(t, got, "Content-Type", "application/problem+json", "Cache-Control", "no-store", "X-Content-Type-Options", "nosniff")
	WantFields(t, got, map[string]any{"code": code, "status": float64(status), "type": "urn:problem-type:auth-sessions:" + code})
	if got.Fields["title"] == "" || got.Fields["detail"] == "" || !instance.MatchString(got.Text("instance")) || len(got.Fields) != 6 {
		t.Errorf("problem %s", got.Body)
	}
	challenge := got.Header.Get("WWW-Authenticate")
	switch {
	case code == "missing_token", code == "cross_origin", code == "invalid_client": // RFC 6750 section 3.1 has no such codes
		if challenge != "Bearer" {
			t.Errorf("challenge %q, want one without an error code", challenge)
		}
	case status == 401 || status == 403:
		if !strings.HasPrefix(challenge, `Bearer error="`+code+`"`) {
			t.Errorf("challenge %q", challenge)
		}
	case challenge != "":
		t.Errorf("challenge %q, want none", challenge)
	}
}

// WantIn checks that a text contains all of the parts.
func WantIn(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

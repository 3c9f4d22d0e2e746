package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"authsidecar/sessions"
)

// A postman takes what is to be delivered by post, and says what it was asked for.
type postman struct{ asked sessions.CreateRequest }

func (p *postman) Prepare(_ *http.Request, way string, req *sessions.CreateRequest) error {
	if way != "post" {
		return ErrDeliver
	}
	p.asked = *req
	return nil
}

func (*postman) Deliver(w http.ResponseWriter, _ *http.Request, _ string, _ *sessions.Grant) error {
	w.WriteHeader(http.StatusOK)
	return nil
}

// F3: a way back leads to a page of this site, whoever reads it how.
func TestReturnTo_LeadsToAPageOfThisSite(t *testing.T) {
	f := newFixture(t)
	p := new(postman)
	f.api.Deliver = p
	body := func(returnTo, way string) string {
		t.Helper()
		data, err := json.Marshal(map[string]any{"user_id": "alice", "deliver": way, "return_to": returnTo})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, returnTo := range []string{"/", "/orders?id=1#top", "/a%20b", "/?next=https://example.com", "/" + strings.Repeat("a", 2047)} {
		if got := f.post("/auth/sessions", body(returnTo, "post")); got.Code != 200 || p.asked.ReturnTo != returnTo {
			t.Errorf("%.40q: %d, %.40q", returnTo, got.Code, p.asked.ReturnTo)
		}
	}
	for _, returnTo := range []string{
		"", "orders", "https://evil.example", "https:evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`,
		"/%2f/evil.example", "/%5cevil.example", "/%252f/evil.example", "/\t/evil.example", "/\n/evil.example", "/\x00", "/\x7f", " /orders", "javascript:alert(1)",
		"/orders\r\nSet-Cookie: a=b", "/./\\evil.example", "/" + strings.Repeat("a", 2048),
	} {
		got := f.post("/auth/sessions", body(returnTo, "post"))
		if got.Code != 400 || !strings.Contains(got.Body.String(), `"invalid_return_to"`) {
			t.Errorf("%.40q: %d %s", returnTo, got.Code, got.Body)
		}
		if returnTo != "" && strings.Contains(got.Body.String(), "evil") {
			t.Errorf("%q is repeated", returnTo)
		}
	}
	if got := f.post("/auth/sessions", body("/orders", "body")); got.Code != 400 || !strings.Contains(got.Body.String(), `"invalid_return_to"`) {
		t.Errorf("with the tokens in the body: %d %s", got.Code, got.Body)
	}
}

func TestDeliver_TheRefusalNamesTheWaysAndWhatTheyNeed(t *testing.T) {
	f := newFixture(t)
	want := "deliver must be body, which is the default, or link or cookie, which need browser in the configuration."
	for _, way := range []string{"link", "cookie", "pigeon"} {
		got := f.post("/auth/sessions", `{"user_id":"alice","deliver":"`+way+`"}`)
		if got.Code != 400 || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s: %d %s", way, got.Code, got.Body)
		}
	}
}

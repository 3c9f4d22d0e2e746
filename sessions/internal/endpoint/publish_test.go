package endpoint

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestPublish_ADocumentComesWholeOrHasNotChanged(t *testing.T) {
	ask := func(method string, header ...string) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest(method, "/jwks.json", http.NoBody), httptest.NewRecorder()
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		Publish(w, r, "application/json", time.Hour, []byte(`{"keys":[]}`))
		return w
	}
	first := ask(http.MethodGet)
	tag := first.Header().Get("ETag")
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff", "Content-Length": "11", "ETag": tag,
	} {
		if got := first.Header().Get(name); got != want || tag == "" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for what, c := range map[string]struct {
		method string
		header []string
		status int
		body   string
	}{
		"a request":            {"GET", nil, 200, `{"keys":[]}`},
		"its head":             {"HEAD", nil, 200, ""},
		"a part of it":         {"GET", []string{"Range", "bytes=0-1"}, 200, `{"keys":[]}`},
		"another one":          {"GET", []string{"If-None-Match", `"x"`}, 200, `{"keys":[]}`},
		"another one, if":      {"GET", []string{"If-Match", `"x"`}, 200, `{"keys":[]}`},
		"the same":             {"GET", []string{"If-None-Match", tag}, 304, ""},
		"the same, weakly":     {"GET", []string{"If-None-Match", `"x", W/` + tag}, 304, ""},
		"any":                  {"HEAD", []string{"If-None-Match", "*"}, 304, ""},
		"one that was changed": {"GET", []string{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, 200, `{"keys":[]}`},
	} {
		if got := ask(c.method, c.header...); got.Code != c.status || got.Body.String() != c.body || got.Header().Get("ETag") != tag {
			t.Errorf("%s: %d %q %v", what, got.Code, got.Body, got.Header())
		}
	}
}

package banner

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// requestOf returns a request with headers, each as "Name: value".
func requestOf(method string, lines ...string) *http.Request {
	r := httptest.NewRequest(method, "https://app.example.com/orders", nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestWanted(t *testing.T) {
	t.Parallel()
	page := []string{"Accept: text/html,*/*;q=0.8", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	old := page[:1]
	for name, c := range map[string]struct {
		method string
		lines  []string
		want   bool
	}{
		"a page":                               {"GET", page, true},
		"a form that is answered with a page":  {"POST", page, true},
		"a page of an older browser":           {"GET", old, true},
		"HEAD":                                 {"HEAD", page, false},
		"a frame":                              {"GET", []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, false},
		"an object":                            {"GET", []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object"}, false},
		"fetch":                                {"GET", []string{"Accept: text/html", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, false},
		"an image":                             {"GET", []string{"Accept: text/html", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, false},
		"a script of an older browser":         {"GET", []string{"Accept: application/json"}, false},
		"a program":                            {"GET", nil, false},
		"htmx":                                 {"GET", append(slices.Clone(old), "HX-Request: true"), false},
		"Turbo":                                {"GET", append(slices.Clone(old), "Turbo-Frame: cart"), false},
		"Turbo, in a browser that says it all": {"GET", append(slices.Clone(page), "Turbo-Frame: cart"), false},
		"a page in an app of a phone":          {"GET", append(slices.Clone(page), "X-Requested-With: com.example.app"), true},
		"XMLHttpRequest of an older browser":   {"GET", append(slices.Clone(old), "X-Requested-With: XMLHttpRequest"), false},
		"a WebSocket":                          {"GET", append(slices.Clone(page), "Upgrade: websocket"), false},
	} {
		if got := Wanted(requestOf(c.method, c.lines...)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWanted_DoesNotAllocate(t *testing.T) {
	r := requestOf("GET", "Accept: text/html", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")
	if n := testing.AllocsPerRun(100, func() { Wanted(r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBegin_TheAppIsAskedForTheWholePageInPlain(t *testing.T) {
	t.Parallel()
	lines := []string{
		"Accept: text/html", "Accept-Encoding: gzip, br", "Range: bytes=0-99", "If-Range: \"x\"", "If-None-Match: \"x\"",
		"If-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT", "If-Match: \"x\"", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT",
	}
	r := requestOf("GET", lines...)
	new(Banner).Begin(httptest.NewRecorder(), r, "sid")
	if want := (http.Header{"Accept": {"text/html"}, "Accept-Encoding": {"identity"}}); !maps.EqualFunc(r.Header, want, slices.Equal) {
		t.Errorf("asked for %v", r.Header)
	}
	r = requestOf("POST", lines...)
	new(Banner).Begin(httptest.NewRecorder(), r, "sid")
	if r.Header.Get("If-Match") == "" || r.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("the condition of a change is gone: %v", r.Header)
	}
}

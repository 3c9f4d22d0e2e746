package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPage_SaysWhatTheProblemSaysAndLoadsNothing(t *testing.T) {
	p := NewProblem(403, "read_only", "Look & see", "You may <look>.")
	w := httptest.NewRecorder()
	p.WritePage(w)
	for _, want := range []string{"<title>Look &amp; see</title>", "<p>You may &lt;look&gt;.</p>", "403 read_only"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); w.Code != 403 || got != want {
			t.Errorf("%d, %s: %q", w.Code, name, got)
		}
	}
}

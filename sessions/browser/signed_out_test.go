package browser

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// An answer of the app that leads nowhere, as its status says it would, is left as it is.
func TestSignOut_ARedirectWithoutALocationLeadsNowhere(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "https://app.example.com/logout", nil)
	for location, want := range map[string]string{"": "", "/bye": "/bye", "https://app.example.com/bye": "/bye", "https://other.example.com/": ""} {
		h := http.Header{}
		if location != "" {
			h.Set("Location", location)
		}
		if path, ok := redirectPath(r, http.StatusFound, h); path != want || ok != (want != "") {
			t.Errorf("%q leads to %q (%t), not %q", location, path, ok, want)
		}
	}
}

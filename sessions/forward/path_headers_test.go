package forward

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestU1_HeadersThatRenameThePathAreDropped(t *testing.T) {
	for _, name := range PathHeaders {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."), strings.Replace(strings.ToLower(name), "-", "_", 1)} {
			r := httptest.NewRequest(http.MethodGet, "/public/x", nil)
			r.Header[spelled] = []string{"/admin"}
			r.Header["Connection"] = []string{"close, " + spelled}
			r.Header["X-Forwarded-For"] = []string{"192.0.2.1"}
			DropPathHeaders(r)
			if len(r.Header) != 2 || r.Header.Get("Connection") != "close" {
				t.Errorf("%s: left are %v", spelled, r.Header)
			}
		}
	}
}

package browser

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

// While the store is down, a page that is left over from an impersonation takes no cookies of one's own.
func TestClose_WhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	jar := NewJar("s", false)
	api := New(Config{Path: "/auth/sessions", Authenticator: &Authenticator{Jar: jar}, Links: &Links{}})
	for _, c := range []struct {
		form, cookies string
		cleared       string // of the first cookie that goes
	}{
		{"", "s=a; s-refresh=b", "s=;"},
		{"impersonation=true", "s=a; s-refresh=b", ""},
		{"impersonation=true", "s=a; s-as-refresh=b", "s-as=;"},
		{"", "s=a; s-as-refresh=b", "s-as=;"},
	} {
		r := httptest.NewRequest("POST", "/auth/sessions/close", strings.NewReader(c.form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Cookie", c.cookies)
		w := httptest.NewRecorder()
		api.Unavailable(w, r, api.Route(r), errors.New("down"))
		if got := w.Header().Get("Set-Cookie"); w.Code != 503 || !strings.HasPrefix(got, c.cleared) || (got == "") != (c.cleared == "") {
			t.Errorf("%q with %s: %d, %s", c.form, c.cookies, w.Code, got)
		}
	}
}

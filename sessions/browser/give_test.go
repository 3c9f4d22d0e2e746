package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"authsidecar/sessions"
)

// A session that another one takes the place of lives on where it cannot be revoked: that is reported,
// and the person is signed in all the same.
func TestGive_ReportsASessionThatItCouldNotReplace(t *testing.T) {
	t.Parallel()
	for what, fail := range map[string]func(*scene){
		"revoke the session that another one replaces in a browser": func(s *scene) { close(s.store.wait) },
		"find the session that another one replaces in a browser":   func(s *scene) { _ = s.store.Close() },
	} {
		s := newScene(t)
		if _, _, _, err := s.store.Create(t.Context(), sessions.Session{ID: "old", UserID: "alice", ExpiresAt: s.now.Add(1e9), Idle: 1e9, RotatedAt: s.now, CreatedAt: s.now}); err != nil {
			t.Fatal(err)
		}
		said := ""
		s.Incomplete = func(what string, err error) {
			if said += what; err == nil {
				t.Error("no error")
			}
		}
		s.ClientIP = func(*http.Request) string { return "" }
		fail(s)
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", "__Host-session="+s.token("old"))
		h := http.Header{}
		s.SetSession(h, r, &sessions.Grant{Session: sessions.Session{ID: "new"}, AccessToken: "a", RefreshToken: "b"})
		if cookies := strings.Join(h["Set-Cookie"], ""); said != what || !strings.Contains(cookies, "__Host-session=a") {
			t.Errorf("reported is %q, not %q; %s", said, what, cookies)
		}
	}
}

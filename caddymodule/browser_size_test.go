package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// everything is what makes tokens long.
const everything = `browser
		claims groups
		oauth {
			client the-portal-of-our-customers {
				public
			}
		}
		access_token {
			audience https://app.example.com https://api.example.com
		}
		refresh_token {
			algorithm RS256
		}`

// With everything configured a pair has less than 4 KB; what has more is refused, and leaves no
// session.
func TestBrowser_APairHasLessThan4KB(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", everything)
	user := strings.Repeat("u", 36) // as long as a UUID
	groups := func(bytes int) []any {
		var all []any
		for size := len(`{"groups":[]}`); size+15 <= bytes; size += 15 {
			all = append(all, fmt.Sprintf("group-%06d", len(all)))
		}
		return all
	}
	own, as := s.newPerson(), s.newPerson()
	own.signIn(idp.Token(user, map[string]any{"groups": groups(1536)}), `{"user_id":"`+user+`","client_id":"the-portal-of-our-customers"}`)
	as.signIn(idp.Token(user, map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"`+user[1:]+`","reason":"`+strings.Repeat("r", 500)+`"}`)
	for what, p := range map[string]*person{"own": own, "as": as} {
		size := 0
		for name, value := range p.copy() {
			size += len(name) + len(value) + len("=")
		}
		t.Logf("%s: %d bytes", what, size)
		if size >= 4096 {
			t.Errorf("%s: %d bytes", what, size)
		}
	}
	body := `{"user_id":"` + user + `","deliver":"cookie"}`
	got := s.Create(idp.Token(user, map[string]any{"groups": groups(1600)}), body)
	sidecartest.WantStatus(t, got, 400)
	sidecartest.WantFields(t, got, map[string]any{"code": "claims_too_large"})
	long := strings.Repeat("u", 255)
	token := idp.Token(long, map[string]any{"groups": groups(1536)})
	got = s.Create(token, strings.Replace(body, user, long, 1))
	sidecartest.WantStatus(t, got, 400)
	sidecartest.WantFields(t, got, map[string]any{"code": "cookies_too_large"})
	if got.Header.Get("Set-Cookie") != "" {
		t.Error("cookies were set")
	}
	if items := s.Call("GET", "", token, "").Fields["items"].([]any); len(items) != 0 {
		t.Errorf("%d sessions are left", len(items))
	}
}

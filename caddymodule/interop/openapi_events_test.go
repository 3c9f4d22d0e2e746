package interop

import (
	"encoding/json"
	"maps"
	"net/url"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// listens are words of a trust: its issuer says who signed out, and pushes events.
const listens = `			logout desk
			events {
				audience https://app.example.com
				token {env.PLAIN}
			}
`

// eventPaths are where issuers say so, and as what.
var eventPaths = map[string]string{"/auth/sessions/backchannel-logout": asForm, "/auth/sessions/events": "application/secevent+jwt"}

// says is a token by which the provider says something.
func (s *scene) says(typ string, claims map[string]any) string {
	s.t.Helper()
	all := map[string]any{"iss": s.idp.Issuer, "jti": "one", "iat": time.Now().Unix()}
	maps.Copy(all, claims)
	body, _ := json.Marshal(all) // it is text and numbers
	token, err := s.idp.Key.Sign([]byte(`{"alg":"ES256","kid":"`+s.idp.Key.ID()+`","typ":"`+typ+`"}`), body)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *scene) logoutToken(claims map[string]any) string {
	all := map[string]any{"aud": "desk", "sub": "alice", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	maps.Copy(all, claims)
	return s.says("logout+jwt", all)
}

func (s *scene) event(claims map[string]any) string {
	all := map[string]any{"aud": "https://app.example.com", "sub": "alice", "events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{}}}
	maps.Copy(all, claims)
	return s.says("secevent+jwt", all)
}

func (s *scene) logout(token string) sidecartest.Answer {
	return s.send("POST", "/auth/sessions/backchannel-logout", url.Values{"logout_token": {token}}.Encode(), "Content-Type", asForm)
}

func (s *scene) push(token, presents string) sidecartest.Answer {
	return s.send("POST", "/auth/sessions/events", token, "Content-Type", "application/secevent+jwt", "Authorization", bearer+presents)
}

// say has both endpoints answer good tokens with that status.
func (s *scene) say(status int) {
	s.t.Helper()
	sidecartest.WantStatus(s.t, s.logout(s.logoutToken(nil)), status)
	sidecartest.WantStatus(s.t, s.push(s.event(nil), plainSecret), status)
}

func hearEvents(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	want := func(got sidecartest.Answer, status int, member, code string) {
		t.Helper()
		if sidecartest.WantStatus(t, got, status); code != "" && got.Text(member) != code {
			t.Errorf("%s is %q, want %q", member, got.Text(member), code)
		}
	}
	want(s.logout(s.logoutToken(nil)), 200, "", "")
	want(s.logout(s.logoutToken(map[string]any{"aud": "another"})), 400, "error", "invalid_request")
	want(s.push(s.event(nil), plainSecret), 202, "", "")
	want(s.push(s.event(nil), "another"), 401, "err", "authentication_failed")
	want(s.push("e.e.e", plainSecret), 400, "err", "invalid_request")
	want(s.push(s.event(map[string]any{"aud": "another"}), plainSecret), 400, "err", "invalid_audience")
	want(s.push(s.event(map[string]any{"iss": "https://another.example.com"}), plainSecret), 400, "err", "invalid_issuer")
	forger := *s
	forger.idp = sidecartest.NewIDP(t, s.idp.Issuer)
	want(forger.push(forger.event(nil), plainSecret), 400, "err", "invalid_key")
	for path, media := range eventPaths {
		sidecartest.WantStatus(t, s.promise("POST", path, media, 50_000), 413)
	}
}

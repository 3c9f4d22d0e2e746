package caddymodule_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

const (
	logoutURI = "http://schemas.openid.net/event/backchannel-logout"
	caepURI   = "https://schemas.openid.net/secevent/caep/event-type/"
	riscURI   = "https://schemas.openid.net/secevent/risc/event-type/"
	// eventToken is what the transmitter of the tests presents.
	eventToken = "a-token-of-the-transmitter"
)

// listening is a site whose identity provider says who signed out; more are words of its trust.
func listening(idp *sidecartest.IDP, s *sidecartest.Sidecar, words, more string) string {
	s.Write("event-token", eventToken+"\n")
	return strings.Replace(idp.Site(s, sidecartest.Echo(idp.TB()), words), "audience "+sidecartest.Audience, `audience `+sidecartest.Audience+`
			logout desk
			events {
				audience `+sidecartest.Issuer+`
				token {file.DIR/event-token}
				credential-change revoke-impersonations
				sessions-revoked log
			}
			`+more, 1)
}

// saying is a token by which an identity provider says something.
func saying(idp *sidecartest.IDP, typ string, claims map[string]any) string {
	all := map[string]any{"iss": idp.Issuer, "jti": "jti-of-" + typ, "iat": time.Now().Unix()}
	maps.Copy(all, claims)
	body, _ := json.Marshal(all) // it is text and numbers
	token, err := idp.Key.Sign([]byte(`{"alg":"ES256","kid":"`+idp.Key.ID()+`","typ":"`+typ+`"}`), body)
	if err != nil {
		idp.TB().Fatal(err)
	}
	sidecartest.Remember(token)
	return token
}

func logoutToken(idp *sidecartest.IDP, claims map[string]any) string {
	all := map[string]any{"aud": "desk", "exp": time.Now().Add(time.Minute).Unix(), "events": map[string]any{logoutURI: map[string]any{}}}
	maps.Copy(all, claims)
	return saying(idp, "logout+jwt", all)
}

func securityEvent(idp *sidecartest.IDP, event, sub string) string {
	return saying(idp, "secevent+jwt", map[string]any{
		"aud": sidecartest.Issuer, "sub_id": map[string]any{"format": "iss_sub", "iss": idp.Issuer, "sub": sub},
		"events": map[string]any{event: map[string]any{"event_timestamp": time.Now().Unix()}},
	})
}

// logout posts a logout token, as identity providers do.
func (s *sidecar) logout(token string) sidecartest.Answer {
	s.t.Helper()
	return s.send("/backchannel-logout", "application/x-www-form-urlencoded", url.Values{"logout_token": {token}}.Encode(), "")
}

// push pushes a security event token.
func (s *sidecar) push(token, bearer string) sidecartest.Answer {
	s.t.Helper()
	return s.send("/events", "application/secevent+jwt", token, bearer)
}

func (s *sidecar) send(path, media, body, bearer string) sidecartest.Answer {
	s.t.Helper()
	req, err := http.NewRequest("POST", s.URL+"/auth/sessions"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	got, err := s.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	sidecartest.WantHeaders(s.t, got, "Cache-Control", "no-store")
	return got
}

func TestLogout_EndsSessionsAndTheirAccessTokensAtOnce(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	idp := sidecartest.NewIDP(t, "https://idp.example.com")
	s.Start(listening(idp, s.Sidecar, sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\trequire\n\t\t}\n\t\taudit file DIR/audit.log", ""))
	before := time.Now().Add(-time.Minute).Unix()
	alice := idp.Token("alice", map[string]any{"sid": "sid-1", "auth_time": before})
	desk := idp.Token("alice", map[string]any{"sid": "sid-1", "auth_time": before, "scope": "sessions:impersonate"})
	other := idp.Token("alice", map[string]any{"sid": "sid-2", "auth_time": before})
	ended := []sidecartest.Answer{s.Create(alice, `{"user_id":"alice"}`), s.Create(desk, `{"user_id":"bob"}`)}
	kept := s.Create(other, `{"user_id":"alice"}`)

	token := logoutToken(idp, map[string]any{"sub": "alice", "sid": "sid-1"})
	for range 2 {
		got := s.logout(token)
		if sidecartest.WantStatus(t, got, 200); got.Body != "" {
			t.Errorf("the answer has a body: %s", got.Body)
		}
		for _, session := range ended {
			sidecartest.WantStatus(t, s.visit(session.Text("access_token")), 401)
			sidecartest.WantProblem(t, s.Refresh(session.Text("refresh_token")), 400, "invalid_grant")
		}
		sidecartest.WantStatus(t, s.visit(kept.Text("access_token")), 200)
	}
	sidecartest.WantProblem(t, s.Create(alice, `{"user_id":"alice"}`), 403, "insufficient_scope")
	sidecartest.WantProblem(t, s.Create(desk, `{"user_id":"bob"}`), 403, "insufficient_scope")
	again := idp.Token("alice", map[string]any{"sid": "sid-3", "auth_time": time.Now().Unix()})
	sidecartest.WantStatus(t, s.Create(again, `{"user_id":"alice"}`), 200)

	s.WaitLog("sessions revoked by their issuer", `"sessions":2`, `"named":"sub and sid"`, `"jti":"jti-of-logout+jwt"`)
	s.WaitLog("issuer sent an event", `"outcome":"repeated"`)
	audit, err := os.ReadFile(s.Dir + "/audit.log")
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(audit), "\n"), func(line string) bool { return !strings.Contains(line, `"revoked"`) })
	if len(lines) != 2 || !strings.Contains(lines[0], `"by_issuer":"https://idp.example.com","jti":"jti-of-logout+jwt"`) || !strings.Contains(lines[0], `"end_reason":"logout"`) {
		t.Errorf("the audit has %q", lines)
	}
	sidecartest.WantIn(t, s.MustSessions("status"), "EVENTS OF", "backchannel-logout", "jti-of-logout+jwt", "repeated")
	values := s.scrape()
	for name, want := range map[string]string{"revoked": "1", "repeated": "1", "matched_nothing": "0"} {
		if got := values[`auth_sessions_issuer_events_total{kind="backchannel-logout",outcome="`+name+`",realm="https://app.example.com"}`]; got != want {
			t.Errorf("%s is counted %s times", name, got)
		}
	}
	if got := values[`auth_sessions_revocations_total{realm="https://app.example.com",reason="logout"}`]; got != "2" {
		t.Errorf("revocations by logout: %s", got)
	}
	s.WantNoToken()
}

func TestLogout_ThatMatchesNothingSaysWhatItNamedAndWhatRowsHave(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	idp := sidecartest.NewIDP(t, "https://idp.example.com")
	s.Start(listening(idp, s.Sidecar, sidecartest.Lifecycle, ""))
	sidecartest.WantStatus(t, s.Create(idp.Token("alice", nil), `{"user_id":"alice"}`), 200)
	sidecartest.WantStatus(t, s.logout(logoutToken(idp, map[string]any{"sid": "sid-1"})), 200)
	s.WaitLog("event of an issuer matched no session", `"named":"sid"`, "of 1 sessions that this node created by its tokens since it started, 0 have a sid", `"mend":`)
}

func TestLogout_ATokenThatIsNotGoodIsRefusedAndLogged(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	idp := sidecartest.NewIDP(t, "https://idp.example.com")
	s.Start(listening(idp, s.Sidecar, sidecartest.Lifecycle, ""))
	alice := idp.Token("alice", map[string]any{"sid": "sid-1"})
	session := s.Create(alice, `{"user_id":"alice"}`)
	for name, token := range map[string]string{
		"wrong aud":            logoutToken(idp, map[string]any{"aud": "another", "sub": "alice"}),
		"an access token":      alice,
		"our own access token": session.Text("access_token"),
		"our refresh token":    session.Text("refresh_token"),
		"another's key":        logoutToken(sidecartest.NewIDP(t, idp.Issuer), map[string]any{"sub": "alice"}),
		"nothing":              "x",
	} {
		got := s.logout(token)
		if sidecartest.WantStatus(t, got, 400); got.Text("error") != "invalid_request" || got.Text("error_description") == "" {
			t.Errorf("%s: %s", name, got.Body)
		}
	}
	s.WaitLog("token of an issuer refused", "aud names none of our clients", "logout <client id>", `"trusted_issuer":"https://idp.example.com"`)
	sidecartest.WantStatus(t, s.Refresh(session.Text("refresh_token")), 200)
	s.WantNoToken()
}

func TestEvents_DoWhatIsConfigured(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	idp := sidecartest.NewIDP(t, "https://idp.example.com")
	s.Start(listening(idp, s.Sidecar, sidecartest.Lifecycle+"\n\t\tidentity", ""))
	before := map[string]any{"auth_time": time.Now().Add(-time.Minute).Unix()}
	desk := map[string]any{"auth_time": before["auth_time"], "scope": "sessions:impersonate"}
	own := s.Create(idp.Token("alice", before), `{"user_id":"alice"}`)
	acting := s.Create(idp.Token("alice", desk), `{"user_id":"bob"}`)
	of := s.Create(idp.Token("support", desk), `{"user_id":"alice"}`)
	over := func(when string, want ...bool) {
		t.Helper()
		for i, session := range []sidecartest.Answer{own, acting, of} {
			if got := s.visit(session.Text("access_token")).Status == 401; got != want[i] {
				t.Errorf("%s: session %d is over: %t", when, i, got)
			}
		}
	}
	sidecartest.WantStatus(t, s.push(securityEvent(idp, riscURI+"account-disabled", "alice"), ""), 401)
	sidecartest.WantStatus(t, s.push(securityEvent(idp, riscURI+"account-disabled", "alice"), "another"), 401)
	over("nobody's", false, false, false)
	for _, event := range []string{riscURI + "sessions-revoked", "https://schemas.openid.net/secevent/ssf/event-type/verification", riscURI + "account-enabled"} {
		sidecartest.WantStatus(t, s.push(securityEvent(idp, event, "alice"), eventToken), 202)
	}
	over("logged alone", false, false, false)
	sidecartest.WantStatus(t, s.push(securityEvent(idp, caepURI+"credential-change", "alice"), eventToken), 202)
	over("impersonations", false, true, false)
	sidecartest.WantStatus(t, s.push(securityEvent(idp, riscURI+"account-disabled", "alice"), eventToken), 202)
	over("the account", true, true, true)
	s.WaitLog("sessions revoked by their issuer", `"kind":"account-disabled"`, `"sessions":2`)
	got := s.push(securityEvent(sidecartest.NewIDP(t, idp.Issuer), riscURI+"account-disabled", "alice"), eventToken)
	if sidecartest.WantStatus(t, got, 400); got.Text("err") != "invalid_key" {
		t.Errorf("forged: %s", got.Body)
	}
	s.WantNoToken()
}

func TestEvents_TheTokenOfATransmitterIsReadAtTheStart(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"short": "needs at least 16", "": "event-token"} {
		s := newSidecar(t)
		site := listening(sidecartest.NewIDP(t, "https://idp.example.com"), s.Sidecar, "", "")
		s.Write("event-token", content)
		sidecartest.WantIn(t, s.StartRefused(site), "events: token", want)
	}
}

// Where no issuer says so, the paths are the app's, or sessions'.
func TestLogout_NothingIsServedThatNobodyConfigured(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	idp := sidecartest.NewIDP(t, "https://idp.example.com")
	s.Start(idp.Site(s.Sidecar, sidecartest.Echo(t), ""))
	for _, path := range []string{"/auth/sessions/backchannel-logout", "/auth/sessions/events"} {
		if got := s.Get("POST", path); got.Status != 200 || got.Header.Get("X-App") != "echo" {
			t.Errorf("%s answers %d", path, got.Status)
		}
	}
}

// Covers S5.
func TestCluster_ALogoutHereEndsSessionsThere(t *testing.T) {
	t.Parallel()
	eachEngine(t, false, func(t *testing.T, e *engine) {
		c := newListeningCluster(t, e, 3)
		before := time.Now().Add(-time.Minute).Unix()
		for i, s := range c.nodes {
			sid := map[string]any{"sid": "sid-" + string(rune('a'+i)), "auth_time": before}
			first := s.Create(c.Token("alice", sid), `{"user_id":"alice"}`)
			sidecartest.WantStatus(t, first, 200)
			at := c.nodes[(i+1)%3]
			sidecartest.WantStatus(t, at.logout(logoutToken(c.IDP, map[string]any{"sid": sid["sid"]})), 200)
			for j, other := range c.nodes {
				t.Logf("node %d refuses the access token %s after the answer", j, other.refusedWithin(first.Text("access_token"), 5*time.Second))
				sidecartest.WantProblem(t, other.Refresh(first.Text("refresh_token")), 400, "invalid_grant")
				sidecartest.WantStatus(t, other.Create(c.Token("alice", sid), `{"user_id":"alice"}`), 403)
			}
		}
	})
}

// explain takes what an issuer says, too: that is no caller's token.
func TestExplain_SaysWhichRuleALogoutTokenBreaks(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	idp := sidecartest.NewIDP(t, "https://idp.example.com")
	file := s.Write("Caddyfile", s.Render(listening(idp, s.Sidecar, "", "")))
	for name, c := range map[string]struct {
		token string
		ok    bool
		want  []string
	}{
		"a good one":           {logoutToken(idp, map[string]any{"sub": "alice"}), true, []string{"logout token", "ok", "would be revoked"}},
		"a good event":         {securityEvent(idp, caepURI+"session-revoked", "alice"), true, []string{"security event", "ok"}},
		"an old one":           {logoutToken(idp, map[string]any{"sub": "alice", "iat": time.Now().Add(-time.Hour).Unix()}), false, []string{"iat is more than 10 minutes ago", "compare the clocks"}},
		"of another client":    {logoutToken(idp, map[string]any{"sub": "alice", "aud": "another"}), false, []string{"aud names none of our clients", "logout <client id>"}},
		"by another's key":     {logoutToken(sidecartest.NewIDP(t, idp.Issuer), map[string]any{"sub": "alice"}), false, []string{"refused", "unknown_key"}},
		"an event of nobody's": {saying(idp, "secevent+jwt", map[string]any{"iss": "https://another.example.com", "events": map[string]any{"x": map[string]any{}}}), false, []string{"no trusted issuer"}},
	} {
		got := s.Sessions(c.token, "explain", "--config", file, "--offline")
		if got.OK != c.ok {
			t.Errorf("%s: %+v", name, got)
		}
		sidecartest.WantIn(t, got.Out, c.want...)
	}
}

// A store that is moved, by a copy or by a backup, knows who signed out: their tokens from before stay
// refused there, and those from after are good.
func TestLogout_ATokenFromBeforeStaysRefusedInAStoreThatWasMoved(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	idp := sidecartest.NewIDP(t, "https://idp.example.com")
	site := listening(idp, s.Sidecar, sidecartest.Lifecycle+"\n\t\tstore pebble DIR/one", "")
	s.Start(site)
	before := idp.Token("alice", map[string]any{"auth_time": time.Now().Add(-time.Minute).Unix()})
	sidecartest.WantStatus(t, s.Create(before, `{"user_id":"alice"}`), 200)
	sidecartest.WantStatus(t, s.logout(logoutToken(idp, map[string]any{"sub": "alice"})), 200)
	s.MustSessions("backup", s.Dir+"/backup.tar")
	s.Stop()
	for _, args := range [][]string{
		{"copy", "--from", "pebble " + s.Dir + "/one", "--to", "pebble " + s.Dir + "/copied"},
		{"restore", s.Dir + "/backup.tar", s.Dir + "/restored"},
	} {
		if got := s.Sessions("", args...); !got.OK {
			t.Fatalf("%v: %+v", args, got)
		}
	}
	for _, store := range []string{"copied", "restored"} {
		s.Start(strings.Replace(site, "pebble DIR/one", "pebble DIR/"+store, 1))
		sidecartest.WantProblem(t, s.Create(before, `{"user_id":"alice"}`), 403, "insufficient_scope")
		after := idp.Token("alice", map[string]any{"auth_time": time.Now().Add(time.Second).Unix()})
		sidecartest.WantStatus(t, s.Create(after, `{"user_id":"alice"}`), 200)
		s.Stop()
	}
}

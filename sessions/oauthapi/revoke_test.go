package oauthapi

import (
	"strings"
	"testing"
	"time"
)

// Covers O6.
func TestRevoke_EndsAllOfTheSession(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"refresh_token", "access_token"} {
		for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
			session := f.session()
			got := f.post("/revoke", "client_id", "app", "token", session.text(name), "token_type_hint", hint)
			f.want(got, 200, "")
			if got.body != "{}" {
				t.Errorf("%s", got.body)
			}
			f.want(f.refresh(session.text("refresh_token")), 400, "invalid_grant")
			if got := f.postBasic("/introspect", "gateway", secret, "token", session.text("access_token")); got.body != `{"active":false}` {
				t.Errorf("%s", got.body)
			}
			f.want(f.post("/revoke", "client_id", "app", "token", session.text(name)), 200, "") // again
		}
	}
}

// Covers O6.
func TestRevoke_WhatIsNoGoodIsRevokedAlready(t *testing.T) {
	f := newFixture(t)
	session := f.session()
	f.now = f.now.Add(2 * time.Hour)
	for _, token := range []string{"x", strings.Repeat("x", 20_000), "a.b.c", session.text("refresh_token"), session.text("access_token"), session.text("access_token") + "x"} {
		if got := f.post("/revoke", "client_id", "app", "token", token); got.status != 200 || got.body != "{}" {
			t.Errorf("%.20s: %d %s", token, got.status, got.body)
		}
	}
	f.want(f.post("/revoke", "client_id", "app"), 400, "invalid_request")
	f.want(f.post("/revoke", "client_id", "app", "token", ""), 400, "invalid_request")
	f.want(f.post("/revoke", "client_id", "app", "token", f.token("alice", nil)), 400, "unsupported_token_type")
}

// Covers O6.
func TestRevoke_AnothersTokenIsRefusedWithoutEffect(t *testing.T) {
	f := newFixture(t)
	session := f.gatewaySession()
	for _, token := range []string{session.text("refresh_token"), session.text("access_token")} {
		f.want(f.post("/revoke", "client_id", "app", "token", token), 400, "invalid_grant")
		f.want(f.post("/revoke", "token", token), 401, "invalid_client")
		f.want(f.post("/revoke", "client_id", "gateway", "token", token), 401, "invalid_client")
	}
	f.want(f.postBasic("/token", "gateway", secret, "grant_type", "refresh_token", "refresh_token", session.text("refresh_token")), 200, "")
	// A used token of another's does not revoke the session either.
	f.now = f.now.Add(time.Minute)
	f.want(f.post("/revoke", "client_id", "app", "token", session.text("refresh_token")), 400, "invalid_grant")
	if got := f.postBasic("/introspect", "gateway", secret, "token", session.text("access_token")); got.fields["active"] != true {
		t.Errorf("%s", got.body)
	}
}

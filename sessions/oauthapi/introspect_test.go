package oauthapi

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// Covers O7, M3.
func TestIntrospect_DescribesAnAccessToken(t *testing.T) {
	f := newFixture(t)
	as := f.exchange("subject_token", "bob", "subject_token_type", TokenTypeUserID, "actor_token", f.actor(), "actor_token_type", tokenTypeJWT)
	calls := f.store.calls
	for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
		got := f.postBasic("/introspect", "gateway", secret, "token", as.text("access_token"), "token_type_hint", hint)
		f.want(got, 200, "")
		claims := f.claims(as.text("access_token"))
		for _, name := range []string{"iss", "sub", "aud", "client_id", "sid", "jti", "iat", "exp"} {
			if got.fields[name] != claims[name] || got.fields[name] == nil {
				t.Errorf("%s is %v, want %v", name, got.fields[name], claims[name])
			}
		}
		act, _ := got.fields["act"].(map[string]any)
		if got.fields["active"] != true || got.text("token_type") != "Bearer" || act["sub"] != "carol" || act["iss"] != trusted {
			t.Errorf("%s", got.body)
		}
	}
	if f.store.calls != calls {
		t.Error("the store was asked")
	}
	own := f.postBasic("/introspect", "gateway", secret, "token", f.session().text("access_token"))
	if names := slices.Sorted(maps.Keys(own.fields)); len(names) != 10 || own.fields["act"] != nil {
		t.Errorf("%v", names)
	}
	f.api.Audience = nil // what the token says counts
	f.manager.Minter.AccessAudience = []string{issuer, "https://api.example.com"}
	several := f.postBasic("/introspect", "gateway", secret, "token", f.session().text("access_token"))
	if list, _ := several.fields["aud"].([]any); len(list) != 2 || list[0] != issuer || list[1] != "https://api.example.com" {
		t.Errorf("%s", several.body)
	}
}

// Covers O7.
func TestIntrospect_ARefreshTokenIsItsClientsAffair(t *testing.T) {
	f := newFixture(t)
	mine, other := f.gatewaySession(), f.session()
	got := f.postBasic("/introspect", "gateway", secret, "token", mine.text("refresh_token"), "token_type_hint", "access_token")
	if got.fields["active"] != true || got.text("sub") != "alice" || got.text("client_id") != "gateway" || got.text("sid") == "" || got.fields["exp"] != float64(f.now.Add(time.Hour).Unix()) {
		t.Errorf("%s", got.body)
	}
	if got := f.postBasic("/introspect", "gateway", secret, "token", other.text("refresh_token")); got.body != `{"active":false}` {
		t.Errorf("another client's: %s", got.body)
	}
	f.want(f.refresh(other.text("refresh_token")), 200, "")
	// The one before the live one is good for as long as a refresh would take it; afterwards it
	// was copied, which ends the session.
	f.want(f.postBasic("/token", "gateway", secret, "grant_type", "refresh_token", "refresh_token", mine.text("refresh_token")), 200, "")
	f.now = f.now.Add(time.Minute)
	if got := f.postBasic("/introspect", "gateway", secret, "token", mine.text("refresh_token")); got.body != `{"active":false}` {
		t.Errorf("a used one: %s", got.body)
	}
}

// Covers O7.
func TestIntrospect_SaysNothingOfWhatIsNotActive(t *testing.T) {
	f := newFixture(t)
	session := f.session()
	revoked := f.session()
	f.want(f.post("/revoke", "client_id", "app", "token", revoked.text("refresh_token")), 200, "")
	for name, token := range map[string]string{
		"revoked": revoked.text("access_token"), "none": "x", "tampered with": session.text("access_token") + "x", "of the identity provider": f.token("alice", nil),
		"signed by another key": f.sign(f.robot, map[string]any{"iss": issuer, "sub": "alice", "aud": issuer, "sid": "x", "sid_iat": 1, "exp": f.now.Add(time.Minute).Unix()}, nil),
	} {
		if got := f.postBasic("/introspect", "gateway", secret, "token", token); got.status != 200 || got.body != `{"active":false}` {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	f.now = f.now.Add(time.Hour)
	if got := f.postBasic("/introspect", "gateway", secret, "token", session.text("access_token")); got.body != `{"active":false}` {
		t.Errorf("expired: %s", got.body)
	}
	f.want(f.postBasic("/introspect", "gateway", secret), 400, "invalid_request")
}

// Covers O7.
func TestIntrospect_WhoDoesNotAuthenticateTriesNoTokens(t *testing.T) {
	f := newFixture(t)
	token := f.session().text("access_token")
	r := formRequest("/oauth/introspect", "token="+token)
	r.Header.Set("Authorization", "Bearer "+token)
	for _, got := range []answer{
		f.post("/introspect", "token", token), f.post("/introspect", "token", token, "client_id", "app"), f.postBasic("/introspect", "app", "", "token", token),
		f.post("/introspect", "token", token, "client_id", "gateway"), f.postBasic("/introspect", "gateway", "wrong", "token", token), f.send(r),
	} {
		f.want(got, 401, "invalid_client")
	}
	for range limitBurst - 6 {
		f.want(f.post("/introspect", "token", token, "client_id", "app"), 401, "invalid_client")
	}
	f.want(f.post("/introspect", "token", token, "client_id", "app"), 429, "temporarily_unavailable")
}

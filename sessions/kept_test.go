package sessions_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

// keeping keeps these claims for a day.
func keeping(names ...string) func(*sessions.Manager) {
	return func(m *sessions.Manager) { m.Minter.Claims, m.Minter.ClaimsAge = names, 24*time.Hour }
}

// saidBy are the claims of a token of ours.
func saidBy(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	must(t, json.Unmarshal([]byte(claimsOf(t, token)), &claims))
	return claims
}

func TestKept_AUsersOwnSessionTellsWhatTheirTokenSaid(t *testing.T) {
	w := newWorld(t, keeping("groups", "email", "https://example.com/team", "absent", "none"))
	said := sessions.Claims{"groups": []any{"staff", `a "b"`}, "email": "alice@example.com", "https://example.com/team": map[string]any{"x": int64(1)}, "none": nil, "secret": "x", "iat": w.now.Unix()}
	grant := w.create(person("alice", said), "alice")
	for range 2 {
		got := saidBy(t, grant.AccessToken)
		groups, _ := got["groups"].([]any)
		if len(groups) != 2 || groups[1] != `a "b"` || got["email"] != "alice@example.com" || got["https://example.com/team"] == nil || got["sub"] != "alice" {
			t.Errorf("the access token says %v", got)
		}
		for _, name := range []string{"secret", "absent", "none", "scope"} {
			if _, has := got[name]; has {
				t.Errorf("the access token has %s", name)
			}
		}
		if saidBy(t, grant.RefreshToken)["groups"] != nil {
			t.Error("the refresh token has them")
		}
		grant = w.refresh(grant.RefreshToken, victim, event.Refreshed)
	}

	w.reload(keeping("email"))
	grant = w.refresh(grant.RefreshToken, victim, event.Refreshed)
	if got := saidBy(t, grant.AccessToken); got["groups"] != nil || got["email"] == nil {
		t.Errorf("of a claim that is not named any more: %v", got)
	}
}

// A removed administrator does not keep their groups for a month: nobody asks their
// issuer again.
func TestKept_IsForgottenADayAfterTheCallersToken(t *testing.T) {
	for name, tt := range map[string]struct {
		iat  func(time.Time) any
		last time.Duration // how long after creation a token has them
	}{
		"issued just now":   {func(now time.Time) any { return now.Unix() }, 24*time.Hour - accessTTL - time.Second},
		"issued hours ago":  {func(now time.Time) any { return now.Add(-20 * time.Hour).Unix() }, 4*time.Hour - accessTTL - time.Second},
		"issued days ago":   {func(now time.Time) any { return now.Add(-72 * time.Hour).Unix() }, -1},
		"issued by a clock": {func(now time.Time) any { return now.Add(time.Minute).Unix() }, 24*time.Hour - accessTTL - time.Second},
		"of no known age":   {func(time.Time) any { return nil }, 24*time.Hour - accessTTL - time.Second},
		"of an odd age":     {func(time.Time) any { return "yesterday" }, 24*time.Hour - accessTTL - time.Second},
		"from before 1970":  {func(time.Time) any { return int64(-1 << 62) }, -1},
	} {
		w := newWorld(t, keeping("groups"))
		created := w.now
		grant := w.create(person("alice", sessions.Claims{"groups": []any{"admin"}, "iat": tt.iat(w.now)}), "alice")
		if has := saidBy(t, grant.AccessToken)["groups"] != nil; has != (tt.last >= 0) {
			t.Errorf("%s: at first %v", name, has)
		}
		for _, after := range []time.Duration{tt.last, tt.last + 2*time.Second} {
			if after < 0 {
				continue
			}
			w.now = created.Add(after)
			grant = w.refresh(grant.RefreshToken, victim, event.Refreshed)
			got := saidBy(t, grant.AccessToken)
			if has := got["groups"] != nil; has != (after == tt.last) {
				t.Errorf("%s: after %v %v", name, after, has)
			}
			if end := time.Unix(int64(got["exp"].(float64)), 0); got["groups"] != nil && end.After(created.Add(24*time.Hour)) {
				t.Errorf("%s: a token with them ends at %v", name, end)
			}
		}
	}
}

func TestKept_AnImpersonatedSessionHasNone(t *testing.T) {
	w := newWorld(t, keeping("groups"))
	grant := w.create(person("carol", sessions.Claims{"groups": []any{"support"}, "scope": "desk"}), "alice")
	for range 2 {
		if got := saidBy(t, grant.AccessToken); got["groups"] != nil || got["act"] == nil {
			t.Errorf("the actor's groups are alice's: %v", got)
		}
		grant = w.refresh(grant.RefreshToken, victim, event.Refreshed)
	}
	if grant.Session.Kept != nil {
		t.Errorf("the row keeps %v", grant.Session.Kept)
	}
}

// Whatever a configuration names, no caller's token says who our tokens are for.
func TestKept_ReservedClaimsAreOurs(t *testing.T) {
	names := []string{"sub", "act", "client_id", "exp", "scope", "sid", "sid_iat", "store", "aud", "iss", "cnf", "typ", "email"}
	w := newWorld(t, keeping(names...))
	said := sessions.Claims{}
	for _, name := range names {
		said[name] = "evil " + name
	}
	delete(said, "act") // such a token creates nothing
	grant := w.create(person("alice", said), "alice")
	for name, value := range saidBy(t, grant.AccessToken) {
		if text, _ := value.(string); strings.HasPrefix(text, "evil") != (name == "email") {
			t.Errorf("%s is %v", name, value)
		}
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "act", "cnf", "sid", "sid_iat", "store", "typ"} {
		if !sessions.ReservedClaim(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"SUB", "Act", "\u017fub"} { // as encoding/json reads them
		if !sessions.ReservedClaim(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	if sessions.ReservedClaim("groups") || sessions.ReservedClaim("subject") {
		t.Error("too much is reserved")
	}
}

func TestKept_IsBounded(t *testing.T) {
	w := newWorld(t, keeping("groups"))
	create := func(size int) error {
		said := sessions.Claims{"groups": strings.Repeat("g", size-len(`{"groups":""}`))}
		_, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: person("alice", said), UserID: "alice"})
		return err
	}
	must(t, create(4096))
	if err := create(4096 + 1); !errors.Is(err, sessions.ErrKept) {
		t.Errorf("%v, want ErrKept", err)
	}
	said := sessions.Claims{"groups": strings.Repeat("g", 2*4096), "scope": "desk"}
	if _, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: person("carol", said), UserID: "alice"}); err != nil {
		t.Errorf("of an impersonated session nothing is kept: %v", err)
	}
}

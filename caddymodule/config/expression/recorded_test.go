package expression

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// lookingAtClaims are expressions that look at claims, or at whether they are there, in
// all the ways that CEL has.
var lookingAtClaims = []string{
	`caller.scope.contains("s")`,
	`caller.scope.contains("s") && !has(caller.contractor)`,
	`caller.scope.contains("s") && !("contractor" in caller)`,
	`caller.scope.contains("s") && caller.contractor == false`,
	`!(caller["contractor"] == true)`,
	`!has(caller.contractor) || caller.contractor == false`,
	`has(caller.contractor) ? caller.contractor == false : true`,
	`size(caller) == 1`,
	`size(caller) < 3`,
	`caller == {"scope": "s t"}`,
	`caller != {"scope": "s t", "contractor": true}`,
	`!caller.exists(name, name == "contractor")`,
	`caller.all(name, name != "contractor")`,
	`caller.exists_one(name, name.startsWith("s"))`,
	`caller.filter(name, name.startsWith("contr")).size() == 0`,
	`caller.map(name, name).size() == 1`,
	`!(user_id in caller)`,
	`![caller].exists(c, has(c.contractor))`,
	`!dyn(caller).exists(name, name == "contractor")`,
	`!has({"c": caller}.c.contractor)`,
	`!has((user_id == "alice" ? caller : {"x": "y"}).contractor)`,
	`[1].all(caller, caller == 1)`,
	`["contractor", "admin"].all(name, !(name in caller))`,
	`["contractor"].all(name, caller[name] != true)`,
	`!has(caller.org.contractor)`,
	`caller.org.exists(name, name == "dept") || !has(caller.scope)`,
	`size(caller.org) == 1`,
	`!("x" in caller.roles)`,
	`caller.roles.all(r, r != "contractor")`,
	`user_id == "alice"`,
	`true`,
}

var claimsToLookAt = []sessions.Claims{
	nil,
	{"scope": "s t"},
	{"scope": "s t", "contractor": true},
	{"scope": "s t", "contractor": false},
	{"scope": "s t", "contractor": nil},
	{"contractor": true, "admin": true},
	{"org": map[string]any{"dept": "x"}, "roles": []any{}},
	{"org": map[string]any{"dept": "x", "contractor": true}, "roles": []any{"x", "contractor"}, "scope": "s"},
	{"alice": "x"},
}

// A refresh says yes to no caller whom create refuses, whatever rule the session was
// created by; and by the same rule it says what create says.
func TestExpression_ARefreshKnowsNoMoreThanCreateRecorded(t *testing.T) {
	refused := 0
	for _, claims := range claimsToLookAt {
		for _, before := range lookingAtClaims {
			for _, after := range lookingAtClaims {
				m, by := managerWith(t, before), callerWith(claims)
				grant, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: by, UserID: "alice"})
				if errors.Is(err, sessions.ErrDenied) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				allow(m, after)
				_, err = m.Create(t.Context(), &sessions.CreateRequest{Caller: by, UserID: "alice"})
				created := err == nil
				_, err = m.Refresh(t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken})
				refreshed := err == nil
				if refreshed && !created || before == after && !refreshed {
					t.Errorf("%v, created by %s, then %s: created %t, refreshed %t", claims, before, after, created, refreshed)
				}
				if created && !refreshed {
					refused++
				}
			}
		}
	}
	if refused == 0 {
		t.Error("everything was recorded: nothing was tested")
	}
}

// What a rule looks at is recorded, whether it is there or not, and nothing else.
func TestExpression_WhatIsRecordedIsEnoughForAnotherRule(t *testing.T) {
	for _, tt := range []struct {
		before, after string
		goesOn        bool
	}{
		{`caller.scope == "s" && !has(caller.contractor)`, `!("contractor" in caller)`, true},
		{`caller.scope == "s" || caller.dept == "x"`, `!has(caller.dept)`, true},
		{`caller.scope == "s"`, `!has(caller.dept)`, false},
		{`caller.scope == "s"`, `caller.scope == "s" || caller.dept == "x"`, false},
		{`caller.scope == "s"`, `size(caller.scope) == 1`, true},
		{`size(caller) > 0`, `!has(caller.dept)`, true},
		{`caller.scope == "s"`, `size(caller) > 0`, false},
	} {
		m := managerWith(t, tt.before)
		by := callerWith(sessions.Claims{"scope": "s"})
		grant, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: by, UserID: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		allow(m, tt.after)
		if _, err = m.Refresh(t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken}); (err == nil) != tt.goesOn {
			t.Errorf("%s, then %s: %v", tt.before, tt.after, err)
		}
	}
}

func callerWith(claims sessions.Claims) *sessions.Caller {
	return &sessions.Caller{Principal: sessions.Principal{Issuer: "https://idp.example.com", Subject: "carol"}, Claims: claims, Scopes: claims.Scopes()}
}

// managerWith returns a manager whose one rule is the expression.
func managerWith(t *testing.T, src string) *sessions.Manager {
	t.Helper()
	lives := sessions.Lifetimes{TTL: time.Hour, MaxTTL: time.Hour, Idle: time.Hour}
	m := &sessions.Manager{
		Realm: "https://app.example.com", Store: new(storetest.Memory), Revocations: new(revocation.Watcher), Own: lives, Impersonation: lives,
		Trusted: func(issuer string) *sessions.Trust { return &sessions.Trust{Name: issuer} },
		Minter:  &sessions.Minter{Issuer: "https://app.example.com", RefreshAudience: "r", AccessAudience: []string{"a"}, AccessTTL: time.Minute, Keys: testKeys(t)},
	}
	allow(m, src)
	return m
}

// compiled are the expressions of these tests, compiled once.
var compiled = map[string]*Compiled{}

func allow(m *sessions.Manager, src string) {
	if compiled[src] == nil {
		made, err := Compile(src)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", src, err))
		}
		compiled[src] = made
	}
	m.Policy = &sessions.Policy{Allow: []sessions.Rule{{Name: "expression " + src, From: "https://idp.example.com", When: compiled[src]}}}
}

func testKeys(t *testing.T) *keyring.Keyring {
	t.Helper()
	keys := keyring.New()
	for alg, ring := range map[jose.Algorithm]*keyring.Ring{jose.EdDSA: keys.Refresh, jose.ES256: keys.Access} {
		key, err := jose.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Set([]keyring.Record{{Key: key}}); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

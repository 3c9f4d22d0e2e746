package sessions_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// A clock is set by hand.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func (c *clock) forward(d time.Duration) { c.now = c.now.Add(d) }

const (
	ourIssuer = "https://app.example.com"
	idpIssuer = "https://idp.example.com"
)

// newManager returns a manager on a store in memory, whose users may have
// sessions for themselves, and who may impersonate with the scope "act".
func newManager(t *testing.T, c *clock) *sessions.Manager {
	t.Helper()
	keys := keyring.New()
	for ring, alg := range map[*keyring.Ring]jose.Algorithm{keys.Refresh: jose.EdDSA, keys.Access: jose.ES256} {
		key, err := jose.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Set([]keyring.Record{{Key: key}}); err != nil {
			t.Fatal(err)
		}
	}
	day := 24 * time.Hour
	return &sessions.Manager{
		Realm: ourIssuer, Revocations: new(revocation.Watcher),
		Store: &storetest.Memory{Clock: c.Now},
		Policy: &sessions.Policy{
			AllowSelf: true,
			Allow:     []sessions.Rule{{Name: "scope act", From: idpIssuer, When: sessions.HasScope("act")}},
		},
		Trusted:       trusting(sessions.Trust{Name: idpIssuer, Users: true}),
		Own:           sessions.Lifetimes{TTL: 30 * day, MaxTTL: 365 * day, Idle: 14 * day},
		Impersonation: sessions.Lifetimes{TTL: time.Hour, MaxTTL: 8 * time.Hour, Idle: 15 * time.Minute},
		Grace:         30 * time.Second,
		IDSecret:      make([]byte, 32),
		Minter: &sessions.Minter{
			Issuer: ourIssuer, RefreshAudience: ourIssuer + "/auth/sessions", AccessAudience: []string{ourIssuer},
			AccessTTL: 10 * time.Minute, Keys: keys,
		},
	}
}

func caller(sub string, scopes ...string) *sessions.Caller {
	claims := sessions.Claims{"scope": strings.Join(scopes, " ")}
	return &sessions.Caller{Principal: sessions.Principal{Issuer: idpIssuer, Subject: sub}, User: true, Scopes: scopes, Claims: claims}
}

func mustCreate(t *testing.T, m *sessions.Manager, c *sessions.Caller, user string) *sessions.Grant {
	t.Helper()
	grant, err := m.Create(context.Background(), &sessions.CreateRequest{Caller: c, UserID: user})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func TestM9_TheLeastRecentlyUsedSessionGivesWay(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	m := newManager(t, c)
	m.MaxPerUser = 3
	var grants []*sessions.Grant
	add := func(by *sessions.Caller) {
		c.forward(time.Minute)
		grants = append(grants, mustCreate(t, m, by, "alice"))
	}
	refresh := func(i int) error {
		c.forward(time.Minute)
		grant, err := m.Refresh(context.Background(), &sessions.RefreshRequest{Token: grants[i].RefreshToken})
		if err == nil {
			grants[i] = grant
		}
		return err
	}
	for range 3 {
		add(caller("alice"))
	}
	if err := refresh(0); err != nil { // the first is now the most recently used
		t.Fatal(err)
	}
	add(caller("alice"))      // 3 and the second gives way
	add(caller("bob", "act")) // 4 an impersonation takes nobody's place
	for i, lives := range []bool{true, false, true, true, true} {
		if err := refresh(i); (err == nil) != lives {
			t.Errorf("session %d: %v, want alive %v", i, err, lives)
		}
	}
	if err := refresh(2); err != nil {
		t.Fatal(err)
	}
	add(caller("alice")) // 5 and now it is the first that was used least recently
	for i, lives := range []bool{false, false, true, true, true, true} {
		if err := refresh(i); (err == nil) != lives {
			t.Errorf("session %d: %v, want alive %v", i, err, lives)
		}
	}
}

func TestM9_ExpiredSessionsTakeNoPlace(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	m := newManager(t, c)
	m.MaxPerUser = 3
	long := mustCreate(t, m, caller("alice"), "alice")
	second := time.Second
	for i := range 10 {
		c.forward(2 * time.Second)
		request := &sessions.CreateRequest{Caller: caller("alice"), UserID: "alice", Lifetime: &second}
		if _, err := m.Create(context.Background(), request); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if _, err := m.Refresh(context.Background(), &sessions.RefreshRequest{Token: long.RefreshToken}); err != nil {
		t.Errorf("a live session gave way to expired ones: %v", err)
	}
}

func TestM9_OtherUsersAndRealmsDoNotCount(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	m := newManager(t, c)
	m.MaxPerUser = 1
	first := mustCreate(t, m, caller("alice"), "alice")
	for i := range 5 {
		mustCreate(t, m, caller(fmt.Sprint("user", i)), fmt.Sprint("user", i))
	}
	other := newManager(t, c)
	other.Realm, other.Store, other.MaxPerUser = "https://other.example.com", m.Store, 1
	mustCreate(t, other, caller("alice"), "alice")
	if _, err := m.Refresh(context.Background(), &sessions.RefreshRequest{Token: first.RefreshToken}); err != nil {
		t.Errorf("the session gave way to somebody else's: %v", err)
	}
}

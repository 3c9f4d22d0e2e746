package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// A support desk may have sessions for users; a user may have their own. Both are refreshed,
// and a refresh token that comes back once too often revokes the session.
func Example() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	store := &storetest.Memory{Clock: func() time.Time { return now }}
	keys := keyring.New()
	for ring, algorithm := range map[*keyring.Ring]jose.Algorithm{keys.Refresh: jose.EdDSA, keys.Access: jose.ES256} {
		records, _, err := (&keyring.Schedule{Algorithm: algorithm}).Plan(nil, now)
		if err == nil {
			err = ring.Set(records)
		}
		if err != nil {
			panic(err)
		}
	}
	const idp = "https://idp.example.com"
	manager := &sessions.Manager{
		Realm: "https://app.example.com",
		Store: store,
		Policy: &sessions.Policy{
			AllowSelf: true,
			Allow:     []sessions.Rule{{Name: "support", From: idp, When: sessions.HasScope("sessions:impersonate")}},
			Protect:   []string{"root"},
		},
		Trusted: func(issuer string) *sessions.Trust { return &sessions.Trust{Name: issuer, Users: true} },
		Minter: &sessions.Minter{
			Issuer: "https://app.example.com", RefreshAudience: "https://app.example.com/auth/sessions",
			AccessAudience: []string{"https://app.example.com"}, AccessTTL: 10 * time.Minute, Keys: keys,
		},
		Own:           sessions.Lifetimes{TTL: 24 * time.Hour, MaxTTL: 24 * time.Hour, Idle: 24 * time.Hour},
		Impersonation: sessions.Lifetimes{TTL: time.Hour, MaxTTL: time.Hour, Idle: time.Hour},
		Revocations:   &revocation.Watcher{Store: store},
	}

	desk := &sessions.Caller{
		Principal: sessions.Principal{Issuer: idp, Subject: "desk"}, Scopes: []string{"sessions:impersonate"},
		Claims: sessions.Claims{"scope": "sessions:impersonate"},
	}
	grant, err := manager.Create(ctx, &sessions.CreateRequest{Caller: desk, UserID: "alice", Reason: "ticket 4711"})
	if err != nil {
		panic(err)
	}
	fmt.Println(grant.Session.UserID, grant.Session.Impersonation, grant.Session.Rule, grant.AccessExpires.Sub(now))

	_, err = manager.Create(ctx, &sessions.CreateRequest{Caller: desk, UserID: "root"})
	fmt.Println(err)

	next, err := manager.Refresh(ctx, &sessions.RefreshRequest{Token: grant.RefreshToken})
	fmt.Println(next.Session.Generation, err)
	now = now.Add(time.Minute)
	_, err = manager.Refresh(ctx, &sessions.RefreshRequest{Token: grant.RefreshToken}) // a stolen copy
	fmt.Println(errors.Is(err, sessions.ErrGrant))
	_, err = manager.Refresh(ctx, &sessions.RefreshRequest{Token: next.RefreshToken})
	fmt.Println(err)
	// Output:
	// alice true support 10m0s
	// caller may not have this session: the user is protected
	// 1 <nil>
	// true
	// refresh token is not valid: session revoked
}

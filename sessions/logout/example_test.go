package logout_test

import (
	"context"
	"fmt"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/storetest"
)

// Alice signs out at her identity provider, which says so: her session here is over, and the token
// that she still has is good for no other.
func Example() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	manager := newManager(&storetest.Memory{Clock: func() time.Time { return now }}, now)
	logouts := &logout.Logouts{Manager: manager, Listens: func(string) bool { return true }}
	manager.SignedOut = logouts.SignedOut

	alice := &sessions.Caller{
		Principal: sessions.Principal{Issuer: "https://idp.example.com", Subject: "alice"}, User: true,
		Claims: sessions.Claims{"sub": "alice", "sid": "08a5", "auth_time": now.Unix()},
	}
	_, err := manager.Create(ctx, &sessions.CreateRequest{Caller: alice, UserID: "alice"})
	fmt.Println(err)

	out, err := logouts.Apply(ctx, &logout.Notice{
		Kind: "logout", JTI: "bWJq", Issuer: alice.Issuer, Trust: alice.Issuer, Issuers: []string{alice.Issuer},
		Subject: "alice", SID: "08a5", At: now.Add(time.Minute), Marked: 24 * time.Hour, Action: logout.Revoke,
	})
	fmt.Println(out.Ended, err)

	_, err = manager.Create(ctx, &sessions.CreateRequest{Caller: alice, UserID: "alice"})
	fmt.Println(err)
	// Output:
	// <nil>
	// 1 <nil>
	// caller may not have this session: the issuer has logged the caller out since the token's sign-in
}

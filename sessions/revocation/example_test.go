package revocation_test

import (
	"context"
	"fmt"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// A user signs out everywhere: the cutoff revokes every session that they have by then,
// also those whose rows nobody looked at, and none that they create later.
func Example() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	store := &storetest.Memory{Clock: func() time.Time { return now }}
	watcher := &revocation.Watcher{Store: store}
	if err := watcher.Start(ctx); err != nil {
		panic(err)
	}

	const realm = "https://app.example.com"
	session := func(id string) sessions.Ref {
		return sessions.Ref{Key: sessions.Key{Realm: realm, ID: id}, UserID: "alice", CreatedAt: now}
	}
	before := session("before")
	alice := sessions.Principal{Issuer: realm, Subject: "alice"}
	if err := watcher.AddCutoff(ctx, realm, sessions.Filter{User: "alice"}, alice); err != nil {
		panic(err)
	}
	now = now.Add(time.Minute)
	after := session("after")

	for _, ref := range []sessions.Ref{before, after} {
		revoked, err := watcher.Revoked(ctx, ref)
		fmt.Println(ref.ID, revoked, err)
	}
	// Output:
	// before true <nil>
	// after false <nil>
}

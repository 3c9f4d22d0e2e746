package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

// A store keeps rows; what becomes of one is decided by the function that Update is given.
func ExampleMemory() {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	store := &storetest.Memory{Clock: func() time.Time { return now }}

	// A row without a CreatedAt begins now, by the store's clock.
	row := sessions.Session{
		Realm: "https://app.example.com", ID: "one", UserID: "alice", ClientID: "app", KeyID: "k",
		ExpiresAt: time.Time{}.Add(24 * time.Hour), Idle: time.Hour,
	}
	stored, created, count, err := store.Create(ctx, row)
	fmt.Println(created, count, stored.ExpiresAt.Sub(stored.CreatedAt), err)

	_, err = store.Update(ctx, stored.Key(), func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		row.RevokedAt, row.EndReason = now, sessions.EndRevoked
		return row, true
	})
	page, listErr := store.List(ctx, sessions.Query{Realm: row.Realm, User: "alice", Limit: 10})
	fmt.Println(len(page.Sessions), err, listErr)

	now = now.Add(3 * time.Hour) // the row of a revoked session is kept for two hours at most
	deleted, err := store.Sweep(ctx, 100, nil)
	_, getErr := store.Get(ctx, stored.Key())
	fmt.Println(deleted, err, errors.Is(getErr, sessions.ErrNotFound))
	// Output:
	// true 1 24h0m0s <nil>
	// 0 <nil> <nil>
	// 1 <nil> true
}

package pebblestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/pebblestore"
)

// A store is one directory. Whoever opens it again finds what was acknowledged.
func Example() {
	ctx := context.Background()
	parent, err := os.MkdirTemp("", "sessions-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(parent) }()
	opts := pebblestore.Options{Dir: filepath.Join(parent, "store")}

	store, err := pebblestore.Open(opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := store.Now()
	row := sessions.Session{
		Realm: "https://app.example.com", ID: "8f3c", UserID: "alice", ClientID: "app",
		Idle: time.Hour, ExpiresAt: now.Add(24 * time.Hour),
	}
	_, created, _, err := store.Create(ctx, row)
	fmt.Println("created:", created, err)
	_, err = pebblestore.Open(opts)
	fmt.Println("opened twice:", errors.Is(err, pebblestore.ErrInUse))
	fmt.Println("closed:", store.Close())

	store, err = pebblestore.Open(opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }()
	again, err := store.Get(ctx, row.Key())
	fmt.Println("found:", again.UserID, err)
	_, err = store.Get(ctx, sessions.Key{Realm: row.Realm, ID: "unknown"})
	fmt.Println("unknown:", errors.Is(err, sessions.ErrNotFound))

	// Output:
	// created: true <nil>
	// opened twice: true
	// closed: <nil>
	// found: alice <nil>
	// unknown: true
}

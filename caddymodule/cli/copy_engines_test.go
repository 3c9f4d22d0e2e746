package cli

import (
	"context"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/pgstore"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/redisstore"
	"authsidecar/sessions/redisstore/redistest"
)

func openPostgres(t *testing.T) sessions.Store {
	t.Helper()
	server := pgtest.Start(t)
	store, err := pgstore.Open(context.Background(), pgstore.Options{DSN: server.DSN("postgres"), Now: func() time.Time { return copyNoon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func openRedis(t *testing.T) sessions.Store {
	t.Helper()
	server := redistest.Start(t)
	store, err := redisstore.Open(context.Background(), redisstore.Options{URL: server.URL(0), Now: func() time.Time { return copyNoon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// Sessions go from an engine to another and back, and are what they were.
func TestCopy_BetweenEngines(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) sessions.Store{"postgres": openPostgres, "redis": openRedis} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, other, back := openPebble(t), open(t), openPebble(t)
			fill(t, first, 1500)
			want := copyReport{Read: 1500, Created: 1500, Cutoffs: 1, Marks: 3, Checked: 1500}
			wantCopied(t, first, other, want)
			wantCopied(t, other, back, want)
			wantCopied(t, first, back, copyReport{Read: 1500, Same: 1500, Cutoffs: 1, Marks: 3, Checked: 1500})
		})
	}
}

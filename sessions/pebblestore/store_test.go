package pebblestore

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

// openStore opens a store that the test closes.
func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = filepath.Join(t.TempDir(), "store")
	}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestTheStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{Now: now})
	})
}

func ctx() context.Context { return context.Background() }

func TestS6_NodesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	storetest.RunNodes(t, func(t *testing.T) (near, far sessions.Store) {
		s := openStore(t, Options{})
		return s, storetest.Far(s, storetest.FarAway)
	})
}

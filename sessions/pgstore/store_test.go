package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
)

// shared is a server that tests share which do it no harm.
var shared = servertest.Shared[*pgtest.Server]{Start: func(t testing.TB) *pgtest.Server { return pgtest.Start(t) }}

func server(t testing.TB) *pgtest.Server { t.Helper(); return shared.Get(t) }

func TestMain(m *testing.M) { servertest.Main(m) }

var schemas atomic.Int64

// newSchema is the name of one that no test used.
func newSchema() string { return fmt.Sprintf(`Schema "%d"; -- ü`, schemas.Add(1)) }

// openStore opens a store that the test closes.
func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	if opts.DSN == "" {
		opts.DSN = server(t).DSN("postgres")
	}
	if opts.Schema == "" {
		opts.Schema = newSchema()
	}
	s, err := Open(context.Background(), opts)
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

func ctx() context.Context { return context.Background() }

// at is the way to the shared server by a port.
func at(port int) string { return pgtest.DSN(port, "postgres", "postgres", pgtest.Password) }

// kind is how the tests of package sharedtest open a store.
func kind(poll bool) *sharedtest.Kind {
	return &sharedtest.Kind{
		Open: func(t testing.TB, o sharedtest.Options) sharedtest.Store {
			opts := Options{
				Schema: o.Name, Poll: poll, MaxConns: o.Calls, Timeout: o.Limit, Wait: o.Wait, Now: o.Now, Clock: o.Clock, Log: o.Log,
				DSN: at(cmp.Or(o.Port, server(t).Port)),
			}
			if o.Feed != 0 {
				opts.ListenDSN = at(o.Feed)
			}
			return openStore(t, opts)
		},
		Port: func(t testing.TB) int { return server(t).Port },
		Own: func(t testing.TB) (sharedtest.Server, int) {
			srv := pgtest.Start(t)
			return srv, srv.Port
		},
		Busy: ErrBusy,
		CutFeeds: func(t testing.TB) {
			server(t).Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
		},
	}
}

func TestTheStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{Now: now})
	})
}

// Covers S6.
func TestNodesShareTheStore(t *testing.T) {
	t.Parallel()
	sharedtest.Run(t, kind(false))
}

func TestNodesThatPollShareTheStore(t *testing.T) {
	t.Parallel()
	sharedtest.Run(t, kind(true))
}

// The server and the way to it fail.
func TestFaultsAreUnavailable(t *testing.T) { sharedtest.Faults(t, kind(false)) }

// Covers S6.
func TestNodesKeepTheirOrder(t *testing.T) {
	for name, poll := range map[string]bool{"who listen": false, "who poll": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunNodes(t, func(t *testing.T) (near, far sessions.Store) {
				opts := Options{Schema: newSchema(), Poll: poll}
				near = openStore(t, opts)
				opts.DSN = at(sharedtest.FarAway(t, server(t).Port))
				return near, openStore(t, opts)
			})
		})
	}
}

// Covers S6.
func TestNodesWhoseClocksAreWrongAgree(t *testing.T) {
	t.Parallel()
	opts := Options{Schema: newSchema()}
	storetest.RunClocks(t, func(t *testing.T, clock func() time.Time) sessions.Store {
		opts.Clock = clock
		return openStore(t, opts)
	})
}

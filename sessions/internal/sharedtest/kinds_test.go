package sharedtest

import (
	"cmp"
	"testing"
	"time"

	"authsidecar/sessions/pgstore"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/redisstore"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/storetest/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// A storeKind is how stores of one kind are opened.
type storeKind struct {
	// Open opens a store on the shared server until the test ends.
	Open func(t testing.TB, o options) Store
	// Port returns where the shared server listens.
	Port func(t testing.TB) int
	// Hanging returns a server that one test at a time may freeze, and where it listens.
	Hanging func(t testing.TB) (freezer, int)
	// Busy is the error of a call that found too many before it.
	Busy error
	// CutFeeds has the shared server end all connections that feeds listen on.
	CutFeeds func(t testing.TB)
}

// options are those that stores of all kinds have.
type options struct {
	Name  string        // of the schema, or the prefix; "" is one that no other test uses
	Port  int           // where the server is asked; 0 is that of the shared one
	Feed  int           // where its feed is listened to; 0 is Port
	Calls int           // how many are made at once
	Limit time.Duration // of one call
	Wait  time.Duration // until a call can be made
	Now   func() time.Time
	Clock func() time.Time
}

// A freezer is a server that hangs while it is frozen.
type freezer interface {
	Freeze()
	Thaw()
}

// The servers that tests share which do them no harm.
var (
	postgres        = servertest.Shared[*pgtest.Server]{Start: func(t testing.TB) *pgtest.Server { return pgtest.Start(t) }}
	redis           = servertest.Shared[*redistest.Server]{Start: func(t testing.TB) *redistest.Server { return redistest.Start(t) }}
	hangingPostgres = servertest.Shared[*pgtest.Server]{Start: func(t testing.TB) *pgtest.Server { return pgtest.Start(t) }}
	hangingRedis    = servertest.Shared[*redistest.Server]{Start: func(t testing.TB) *redistest.Server { return redistest.Start(t) }}
	redisCluster    = servertest.Shared[*redistest.Cluster]{Start: func(t testing.TB) *redistest.Cluster { return redistest.StartCluster(t) }}
)

// ofPostgres is the kind of stores in PostgreSQL, whose nodes listen or poll.
func ofPostgres(poll bool) *storeKind {
	at := func(port int) string { return pgtest.DSN(port, "postgres", "postgres", pgtest.Password) }
	return &storeKind{
		Open: func(t testing.TB, o options) Store {
			opts := pgstore.Options{
				Schema: cmp.Or(o.Name, NewName()), Poll: poll, MaxConns: o.Calls, Timeout: o.Limit, Wait: o.Wait, Now: o.Now, Clock: o.Clock,
				DSN: at(cmp.Or(o.Port, postgres.Get(t).Port)),
			}
			if o.Feed != 0 {
				opts.ListenDSN = at(o.Feed)
			}
			return opened(pgstore.Open(ctx(), opts))(t)
		},
		Port: func(t testing.TB) int { return postgres.Get(t).Port },
		Hanging: func(t testing.TB) (freezer, int) {
			srv := hangingPostgres.Get(t)
			return srv, srv.Port
		},
		Busy: pgstore.ErrBusy,
		CutFeeds: func(t testing.TB) {
			postgres.Get(t).Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
		},
	}
}

// ofRedis is the kind of stores in one server, ofRedisCluster that of stores in a cluster.
var (
	ofRedis = &storeKind{
		Open: func(t testing.TB, o options) Store {
			return opened(redisstore.Open(ctx(), redisstore.Options{
				URL: redistest.URL(cmp.Or(o.Port, o.Feed, redis.Get(t).Port), "", redistest.Password, 0), Prefix: cmp.Or(o.Name, NewName()),
				MaxCalls: o.Calls, Timeout: o.Limit, Wait: o.Wait, Now: o.Now, Clock: o.Clock,
			}))(t)
		},
		Port: func(t testing.TB) int { return redis.Get(t).Port },
		Hanging: func(t testing.TB) (freezer, int) {
			srv := hangingRedis.Get(t)
			return srv, srv.Port
		},
		Busy:     redisstore.ErrBusy,
		CutFeeds: func(t testing.TB) { redis.Get(t).Do(t, "CLIENT", "KILL", "TYPE", "pubsub") },
	}
	ofRedisCluster = &storeKind{
		Open: func(t testing.TB, o options) Store {
			return opened(redisstore.Open(ctx(), redisstore.Options{URL: redisCluster.Get(t).URL(), Prefix: cmp.Or(o.Name, NewName()), Now: o.Now, Clock: o.Clock}))(t)
		},
	}
)

// opened returns what gives a store to a test, which closes it.
func opened[S Store](s S, err error) func(testing.TB) Store {
	return func(t testing.TB) Store {
		t.Helper()
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
}

// Covers S6.
func TestNodesShareTheStore(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]*storeKind{"postgres": ofPostgres(false), "postgres, polled": ofPostgres(true), "redis": ofRedis, "redis cluster": ofRedisCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, kind)
		})
	}
}

// The server and the way to it fail.
func TestFaultsAreUnavailable(t *testing.T) {
	kinds := map[string]*storeKind{"postgres": ofPostgres(false), "redis": ofRedis}
	for name, kind := range kinds {
		t.Run(name+", alone", func(t *testing.T) { faultsOfAll(t, kind) })
	}
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults(t, kind)
		})
	}
}

// nodes opens a store so many times.
func (k *storeKind) nodes(t *testing.T, n int, o options) []Store {
	t.Helper()
	o.Name = NewName()
	all := make([]Store, n)
	for i := range all {
		all[i] = k.Open(t, o)
	}
	return all
}

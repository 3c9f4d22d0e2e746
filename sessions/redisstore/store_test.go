package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
)

// shared, and sharedCluster, are servers that tests share which do them no harm.
var (
	shared        = servertest.Shared[*redistest.Server]{Start: func(t testing.TB) *redistest.Server { return redistest.Start(t) }}
	sharedCluster = servertest.Shared[*redistest.Cluster]{Start: func(t testing.TB) *redistest.Cluster { return redistest.StartCluster(t) }}
)

func server(t testing.TB) *redistest.Server { t.Helper(); return shared.Get(t) }

func cluster(t testing.TB) *redistest.Cluster { t.Helper(); return sharedCluster.Get(t) }

func TestMain(m *testing.M) { servertest.Main(m) }

// Whoever only wants to read a store does not make one by a slip of the pen.
func TestMustExist_MakesNothing(t *testing.T) {
	made := openStore(t, Options{})
	sharedtest.Create(t, made, sharedtest.Row("one", made.Now()))
	names := func() string { return server(t).Do(t, "KEYS", "*") }
	before := names()
	_, err := Open(ctx(), Options{URL: server(t).URL(0), Prefix: newPrefix(), MustExist: true})
	if !errors.Is(err, sessions.ErrNoStore) {
		t.Errorf("another prefix: %v", err)
	}
	if after := names(); len(after) != len(before) {
		t.Errorf("keys were made: %s", after)
	}
	log := new(bytes.Buffer)
	logger := slog.New(slog.NewTextHandler(log, nil))
	openStore(t, Options{Prefix: made.opts.Prefix, MustExist: true, Log: logger})
	if strings.Contains(log.String(), "a new one is made") {
		t.Errorf("the log says %s", log)
	}
	if openStore(t, Options{Log: logger}); !strings.Contains(log.String(), "there was no session store: a new one is made") {
		t.Errorf("the log says %s", log)
	}
}

func TestLocation_SaysWhereAndNotWhoMay(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                       "127.0.0.1:6379, database 0, prefix auth_sessions",
		"rediss://user:hunter2@db.example.com/3": "db.example.com:6379, database 3, prefix auth_sessions",
		"redis://:hunter2@a:7000?addr=b:7001":    "a:7000,b:7001, database 0, prefix auth_sessions",
		"redis://user:hunter2@a:26379?master_set=main&addr=b:26379": "main of a:26379,b:26379, database 0, prefix auth_sessions",
		"unix://user:hunter2@/run/redis.sock?db=2":                  "/run/redis.sock, database 2, prefix auth_sessions",
		"redis://user:hunter2@[nowhere":                             "",
	} {
		if got := (Options{URL: url}).Location(); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
}

var opened atomic.Int64

// newPrefix is one that no test used.
func newPrefix() string { return fmt.Sprintf("test.%d", opened.Add(1)) }

// openStore opens a store that the test closes.
func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	if opts.URL == "" {
		opts.URL = server(t).URL(0)
	}
	if opts.Prefix == "" {
		opts.Prefix = newPrefix()
	}
	s, err := Open(ctx(), opts)
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

// at is the way to a server by a port.
func at(port int) string { return redistest.URL(port, "", redistest.Password, 0) }

// patient is how long a call may wait for its turn where a busy machine is not what is tested.
const patient = time.Minute

func TestTheStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{Now: now, Wait: patient})
	})
}

func TestTheStoreKeepsTheContractInACluster(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{Now: now, URL: cluster(t).URL(), Wait: patient})
	})
}

// Covers S6.
func TestNodesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	storetest.RunNodes(t, func(t *testing.T) (near, far sessions.Store) {
		opts := Options{Prefix: newPrefix()}
		near = openStore(t, opts)
		opts.URL = at(sharedtest.FarAway(t, server(t).Port))
		return near, openStore(t, opts)
	})
}

// Covers S6.
func TestNodesKeepTheirOrderInACluster(t *testing.T) {
	t.Parallel()
	storetest.RunNodes(t, func(t *testing.T) (near, far sessions.Store) {
		opts := Options{URL: cluster(t).URL(), Prefix: newPrefix()}
		return openStore(t, opts), storetest.Far(openStore(t, opts), storetest.FarAway)
	})
}

// Covers S6.
func TestNodesWhoseClocksAreWrongAgree(t *testing.T) {
	t.Parallel()
	opts := Options{Prefix: newPrefix()}
	storetest.RunClocks(t, func(t *testing.T, clock func() time.Time) sessions.Store {
		opts.Clock = clock
		return openStore(t, opts)
	})
}

package pgstore

import (
	"context"
	"fmt"
	"strings"
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

// spare are schemas of the shared server that tests are done with.
var spare = make(chan string, 100)

// emptying deletes all rows of a schema but its version.
const emptying = `DO $$ DECLARE this text; BEGIN
	FOR this IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'SCHEMA' AND tablename <> 'version' LOOP
		EXECUTE 'DELETE FROM ' || this;
	END LOOP;
END $$`

// emptySchema returns a schema without rows, of the shared server, which is the test's until it is
// over. Emptying one takes a fiftieth of what making one does.
func emptySchema(t testing.TB) string {
	t.Helper()
	var name string
	select {
	case name = <-spare:
	default:
		name = newSchema()
	}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		server(t).Exec(t, "postgres", strings.ReplaceAll(emptying, "SCHEMA", name))
		spare <- name
	})
	return name
}

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

func TestTheStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{Now: now, Schema: emptySchema(t), Wait: time.Minute}) // the machine may be busy
	})
}

// Covers S6.
func TestNodesKeepTheirOrder(t *testing.T) {
	t.Parallel()
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

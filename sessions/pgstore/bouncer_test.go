package pgstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
)

// logger writes to a log that a test reads.
func logger(log *servertest.Log) *slog.Logger { return slog.New(slog.NewTextHandler(log, nil)) }

// TestTheContractHoldsThroughPgBouncer in transaction mode, whose three
// connections go from client to client.
func TestTheContractHoldsThroughPgBouncer(t *testing.T) {
	t.Parallel()
	port := server(t).Bouncer(t, "")
	dsn := at(port)
	for dsn, want := range map[string]pgx.QueryExecMode{dsn: modePooled, server(t).DSN("postgres"): pgx.QueryExecModeCacheStatement} {
		err := openStore(t, Options{DSN: dsn}).do(ctx(), func(_ context.Context, conn *pgx.Conn) error {
			if got := conn.Config().DefaultQueryExecMode; got != want {
				t.Errorf("statements are sent as %v, not %v", got, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{DSN: dsn, Now: now, Schema: emptySchema(t), Wait: time.Minute})
	})
}

// TestTenNodesMigrateThroughPgBouncer at once.
func TestTenNodesMigrateThroughPgBouncer(t *testing.T) {
	t.Parallel()
	port := server(t).Bouncer(t, "")
	dsn := at(port)
	schema := newSchema()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			s, err := Open(ctx(), Options{DSN: dsn, Schema: schema})
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close()
		})
	}
	all.Wait()
}

// TestThroughPgBouncerTheFeedIsPolled, unless LISTEN has a way past it. Either
// way the same is heard.
func TestThroughPgBouncerTheFeedIsPolled(t *testing.T) {
	t.Parallel()
	srv := server(t)
	port := srv.Bouncer(t, "")
	dsn := at(port)
	for _, c := range []struct {
		name, listen string
		polled       bool
	}{{"alone", "", true}, {"with a way past it", srv.DSN("postgres"), false}} {
		t.Run(c.name, func(t *testing.T) {
			log := new(servertest.Log)
			s := openStore(t, Options{DSN: dsn, ListenDSN: c.listen, Log: logger(log)})
			sink, _ := sharedtest.Follow(t, s)
			sharedtest.WantHeard(t, openStore(t, Options{DSN: dsn, Schema: s.opts.Schema}), sink)
			if polled := strings.Contains(log.String(), "revocations are polled instead"); polled != c.polled {
				t.Errorf("polled: %t, and the log says: %s", polled, log.String())
			}
			if !strings.Contains(log.String(), "statement_timeout") {
				t.Error("the log does not say that the pooler takes no statement_timeout")
			}
		})
	}
}

// TestAStatementLeavesNothingInTheServersSession looks at what a server's
// connection remembers after each transition was made on it as behind a pooler.
func TestAStatementLeavesNothingInTheServersSession(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{MaxConns: 1, DSN: server(t).DSN("postgres") + "&default_query_exec_mode=cache_describe"})
	sharedtest.Everything(t, s)
	for _, sql := range []string{
		"SELECT count(*) FROM pg_prepared_statements", "SELECT count(*) FROM pg_cursors WHERE name <> ''",
		"SELECT count(*) FROM pg_listening_channels()", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
		"SELECT count(*) FROM pg_settings WHERE source = 'session'",
	} {
		n := 0
		err := s.query(ctx(), sql, nil, func() error {
			if n != 0 {
				t.Errorf("%s: %d", sql, n)
			}
			return nil
		}, &n)
		if err != nil {
			t.Error(err)
		}
	}
}

// TestAPoolerThatComesLaterIsSeen puts PgBouncer in the place of the server while a store is open: it
// takes no settings, and statements that one connection prepared are not there on the next.
func TestAPoolerThatComesLaterIsSeen(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]string{"with settings": "ignore_startup_parameters = statement_timeout,enable_seqscan", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, port := sharedtest.Proxy(t, server(t).Port)
			s := openStore(t, Options{DSN: at(port), MaxConns: 8})
			sharedtest.Everything(t, s)
			p.Stop()
			p.Upstream = fmt.Sprint("127.0.0.1:", server(t).Bouncer(t, settings))
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			s.pool.Reset() // those that were broken
			var all sync.WaitGroup
			for n := range 8 {
				all.Go(func() {
					for i := range 20 {
						row := sharedtest.Row(fmt.Sprint("row ", n, " ", i), s.Now())
						if err := sharedtest.CreateErr(s, row); err != nil {
							t.Error("creating:", err)
						} else if _, err := s.Get(ctx(), row.Key()); err != nil {
							t.Error("getting:", err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

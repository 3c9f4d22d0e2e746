package pgstore

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
)

// logger writes to a log that a test reads.
func logger(log *servertest.Log) *slog.Logger { return slog.New(slog.NewTextHandler(log, nil)) }

// TestItem4_TheContractHoldsThroughPgBouncer in transaction mode, whose three
// connections go from client to client.
func TestItem4_TheContractHoldsThroughPgBouncer(t *testing.T) {
	port := server(t).Bouncer(t, "")
	dsn := pgtest.DSN(port, "postgres", "postgres", pgtest.Password)
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{DSN: dsn, Now: now})
	})
}

// TestItem4_TenNodesMigrateThroughPgBouncer at once.
func TestItem4_TenNodesMigrateThroughPgBouncer(t *testing.T) {
	port := server(t).Bouncer(t, "")
	dsn := pgtest.DSN(port, "postgres", "postgres", pgtest.Password)
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

// TestItem5_ThroughPgBouncerTheFeedIsPolled, unless LISTEN has a way past it. Either
// way the same is heard.
func TestItem5_ThroughPgBouncerTheFeedIsPolled(t *testing.T) {
	srv := pgtest.Start(t)
	port := srv.Bouncer(t, "")
	dsn := pgtest.DSN(port, "postgres", "postgres", pgtest.Password)
	for _, c := range []struct {
		name, listen string
		polled       bool
	}{{"alone", "", true}, {"with a way past it", srv.DSN("postgres"), false}} {
		t.Run(c.name, func(t *testing.T) {
			log := new(servertest.Log)
			s := openStore(t, Options{DSN: dsn, ListenDSN: c.listen, Log: logger(log)})
			sink, _ := follow(t, s)
			wantHeard(t, openStore(t, Options{DSN: dsn, Schema: s.opts.Schema}), sink)
			if polled := strings.Contains(log.String(), "asked for revocations instead"); polled != c.polled {
				t.Errorf("polled: %t, and the log says: %s", polled, log.String())
			}
			if !strings.Contains(log.String(), "statement_timeout") {
				t.Error("nobody is told that the pooler takes no statement_timeout")
			}
		})
	}
}

// TestItem4_AStatementLeavesNothingInTheServersSession looks at what a server's
// connection remembers after each transition was made on it.
func TestItem4_AStatementLeavesNothingInTheServersSession(t *testing.T) {
	s := openStore(t, Options{MaxConns: 1})
	everything(t, s)
	for _, sql := range []string{
		"SELECT count(*) FROM pg_prepared_statements", "SELECT count(*) FROM pg_cursors WHERE name <> ''",
		"SELECT count(*) FROM pg_listening_channels()", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
		"SELECT count(*) FROM pg_settings WHERE source = 'session'",
	} {
		err := s.query(ctx(), sql, new(args), func(r *reader) error {
			if n := r.int(); n != 0 {
				t.Errorf("%s: %d", sql, n)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

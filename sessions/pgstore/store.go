package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/serverclock"
)

// Store is a sessions.Store in one schema of a PostgreSQL database, which any number
// of processes share.
type Store struct {
	opts     Options
	pool     *pgxpool.Pool
	listener *pgconn.Config
	sql      *statements
	clock    *serverclock.Clock
	node     string // names this node in its heartbeats
	gate     calls.Gate
	lanes    *calls.Lanes
}

// Open connects to the database, and makes or migrates the schema where that is not
// done yet. Its errors wrap sessions.ErrUnavailable: a server that is not there. Those that
// stay, whenever it is tried again, are sessions.ErrSetup too: a DSN that cannot be read, a
// role that may not, sessions.ErrNoStore, ErrNewer.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.defaults()
	s := &Store{
		opts: opts, node: rand.Text(), sql: newStatements(opts.Schema), clock: serverclock.New(opts.Clock, opts.Now),
		lanes: calls.NewLanes(opts.MaxConns, waitingPerConn, opts.Wait, ErrBusy),
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("opening session store: %w", refusal(err))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	config, err := s.opts.pool()
	if err != nil {
		return err
	}
	if s.listener, err = s.opts.listener(); err != nil {
		return err
	}
	for _, c := range []*pgconn.Config{&config.ConnConfig.Config, s.listener} {
		if host := exposed(c); host != "" {
			s.opts.Log.Warn("the connection to the database is not encrypted, or its certificate is not verified: set sslmode=verify-full", "host", host)
		}
	}
	if err := s.connect(ctx, config); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		s.pool.Close()
		return err
	}
	return nil
}

// connect makes the pool. PgBouncer refuses settings at start-up that it does not
// track: then the server's are those of the role.
func (s *Store) connect(ctx context.Context, config *pgxpool.Config) (err error) {
	for {
		if s.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
			return err
		}
		pooled := false
		err = s.do(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
			pooled, err = throughPooler(ctx, conn)
			return err
		})
		if err == nil && (!pooled || config.ConnConfig.DefaultQueryExecMode == modePooled) {
			return nil
		}
		s.pool.Close()
		if err == nil {
			config.ConnConfig.DefaultQueryExecMode = modePooled
			continue
		}
		if _, set := config.ConnConfig.RuntimeParams[settingTimeout]; !set || !refusedSetting(err) {
			return err
		}
		delete(config.ConnConfig.RuntimeParams, settingTimeout)
		delete(config.ConnConfig.RuntimeParams, "enable_seqscan")
		s.opts.Log.Info("the pooler before the database takes no statement_timeout: set it for the role, with ALTER ROLE")
	}
}

// modePooled sends a statement and its arguments as one, which leaves nothing in the server's session.
// Else each connection prepares what it says: planning costs more than all the rest.
const modePooled = pgx.QueryExecModeCacheDescribe

// throughPooler reports whether the connection leads to a pooler, which may give each transaction
// to another of the server: it has a process of its own to cancel.
func throughPooler(ctx context.Context, conn *pgx.Conn) (pooled bool, err error) {
	var process uint32
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeExec).Scan(&process)
	return process != conn.PgConn().PID(), err
}

const settingTimeout = "statement_timeout"

func refusedSetting(err error) bool {
	switch code(err) {
	case codeProtocol, codeNotSupported:
		return true
	default:
		return false
	}
}

// prepare looks at what is there, and makes what is missing.
func (s *Store) prepare(ctx context.Context) error {
	learn := func(r *reader) error { return s.learn(r) } // Now goes by it from the first
	if err := s.query(ctx, s.sql.ping, s.at(), learn); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := s.probeNotify(ctx); err != nil {
		return err
	}
	return s.warn(ctx)
}

// warn logs what makes an acknowledged write less durable than it should be.
func (s *Store) warn(ctx context.Context) error {
	return s.query(ctx, s.sql.settings, new(args), func(r *reader) error {
		for _, setting := range []string{"synchronous_commit", "fsync"} {
			if r.bool() {
				s.opts.Log.Warn(setting + " is off: what is acknowledged may be lost when the server crashes, revocations too")
			}
		}
		return nil
	})
}

// Close waits for operations in flight and closes the store: each later one is
// sessions.ErrClosed.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.pool.Close()
		return nil
	})
}

// Now is the server's clock, as far as it is known from its answers.
func (s *Store) Now() time.Time { return s.clock.Now() }

// Ping returns nil where the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.query(ctx, s.sql.ping, s.at(), func(r *reader) error { return s.learn(r) })
}

// at begins the arguments of a statement that asks for the time: $1, which is NULL
// where it is the server's.
func (s *Store) at() *args {
	if now := s.clock.Fixed(); now != nil {
		return new(args).int(*now)
	}
	return new(args).null()
}

// learn reads the time of an answer.
func (s *Store) learn(r *reader) error {
	now := r.int()
	if r.err == nil {
		s.clock.Learn(r.asked, now)
	}
	return r.err
}

// probeNotify finds out whether the database knows NOTIFY. One that does, but not for
// us, is refused: others who listen would not hear what we end.
func (s *Store) probeNotify(ctx context.Context) error {
	err := s.exec(ctx, s.sql.notify, new(args).string("h probe 0"))
	switch code(err) {
	case codeNoFunction, codeNotSupported:
		s.sql.withoutNotify()
		return nil
	case codePrivilege:
		return errors.Join(errors.New("the role may not execute pg_notify"), err)
	default:
		return err
	}
}

// Interface guards
var (
	_ sessions.Store = (*Store)(nil)
)

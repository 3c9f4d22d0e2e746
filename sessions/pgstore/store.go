package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/serverclock"
)

// Store is a sessions.Store in a schema of a PostgreSQL database, which any number of processes may
// share.
type Store struct {
	opts     Options
	pool     *pgxpool.Pool
	listener *pgconn.Config
	sql      *statements
	clock    *serverclock.Clock
	node     string // identifies this node in its heartbeats
	pooler   pooler
	gate     calls.Gate
	lanes    *calls.Lanes
}

// Open connects to the database, and creates or migrates the schema if necessary. Its errors wrap
// sessions.ErrUnavailable: the server does not respond. Errors that persist wrap sessions.ErrSetup
// too: an invalid DSN, missing privileges, sessions.ErrNoStore, ErrNewer.
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
	s.pooler.configure(config, s.opts.Log)
	if s.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		s.pool.Close()
		return err
	}
	return nil
}

// prepare examines the database and creates what is missing.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.Ping(ctx); err != nil { // Now uses it from the start
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

// warn logs settings that make acknowledged writes less durable than they should be.
func (s *Store) warn(ctx context.Context) error {
	setting := ""
	return s.query(ctx, `SELECT name FROM pg_catalog.pg_settings WHERE name IN ('synchronous_commit', 'fsync') AND setting = 'off'`, nil, func() error {
		s.opts.Log.Warn(setting + " is off: what is acknowledged may be lost when the server crashes, revocations too")
		return nil
	}, &setting)
}

// Close waits for operations in flight and closes the store: all later ones return
// sessions.ErrClosed.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.pool.Close()
		return nil
	})
}

// Now returns the server's time, as estimated from its responses.
func (s *Store) Now() time.Time { return s.clock.Now() }

// Ping returns nil if the database responds.
func (s *Store) Ping(ctx context.Context) error {
	return s.query(ctx, s.text(sqlPing), s.timed(), noRow, s.now(new(time.Time)))
}

// probeNotify checks whether the database supports NOTIFY. If it does but the role must not use it,
// the store is refused: nodes that listen would miss our revocations.
func (s *Store) probeNotify(ctx context.Context) error {
	err := s.exec(ctx, s.text(sqlNotify), args("h probe 0"))
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

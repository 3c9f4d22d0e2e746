package pgstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"authsidecar/sessions/internal/calls"
)

// hash32 returns the number that selects the exclusive lane.
func hash32(name []byte) uint32 { return binary.BigEndian.Uint32(name) }

// do runs a statement on a connection, and retries it if the server says that it had no effect.
func (s *Store) do(ctx context.Context, statement func(context.Context, *pgx.Conn) error) error {
	lane, err := s.lanes.Run(ctx)
	if err != nil {
		return err
	}
	defer lane.Leave()
	return s.doNow(ctx, statement)
}

// tries is how often a statement without effect is tried.
const tries = 5

// doNow is do without waiting in the lanes.
func (s *Store) doNow(ctx context.Context, statement func(context.Context, *pgx.Conn) error) (err error) {
	if err = s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	for range tries {
		err = s.once(ctx, statement)
		if !undone(err) && !pgconn.SafeToRetry(err) {
			return err
		}
	}
	return err
}

// once runs a statement. A caller that gives up does not cancel it, which would cost the
// connection: its timeout limits it.
func (s *Store) once(ctx context.Context, statement func(context.Context, *pgx.Conn) error) error {
	waiting, cancel := context.WithTimeoutCause(ctx, s.opts.Timeout, ErrBusy)
	conn, err := s.pool.Acquire(waiting)
	if err != nil && waiting.Err() != nil {
		err = context.Cause(waiting)
	}
	cancel()
	if err != nil {
		return unavailable(err)
	}
	defer conn.Release()
	ctx, cancel = calls.Bounded(ctx, s.opts.Timeout)
	defer cancel()
	err = statement(ctx, conn.Conn())
	if spoilt(err) {
		_ = conn.Conn().Close(ctx)
	}
	return unavailable(err)
}

// query runs a statement and calls row for each row of the result. If row returns an error, so does
// query.
func (s *Store) query(ctx context.Context, sql string, a *args, row func(*reader) error) error {
	return s.do(ctx, func(ctx context.Context, conn *pgx.Conn) error { return s.ask(ctx, conn, sql, a, row) })
}

func (s *Store) exec(ctx context.Context, sql string, a *args) error {
	return s.query(ctx, sql, a, func(*reader) error { return nil })
}

func (s *Store) ask(ctx context.Context, conn *pgx.Conn, sql string, a *args, row func(*reader) error) error {
	asked := s.clock.Passed()
	rows, err := conn.Query(ctx, sql, *a...)
	if err != nil {
		return err
	}
	return readRows(asked, rows, row)
}

// readRows reads a result to its end, or to the first row that fails.
func readRows(asked time.Duration, rows pgx.Rows, row func(*reader) error) error {
	defer rows.Close()
	for rows.Next() {
		r := reader{values: rows.RawValues(), asked: asked}
		if err := cmp.Or(row(&r), r.err); err != nil {
			return err
		}
	}
	return rows.Err()
}

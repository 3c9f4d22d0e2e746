package pgstore

import (
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
		var learned bool
		learned, err = s.once(ctx, statement)
		if !learned && !undone(err) && !pgconn.SafeToRetry(err) {
			return err
		}
	}
	return err
}

// once runs a statement. A caller that gives up does not cancel it, which would cost the
// connection: its timeout limits it. learned reports whether to try again on a connection of another
// kind.
func (s *Store) once(ctx context.Context, statement func(context.Context, *pgx.Conn) error) (learned bool, err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, s.opts.Timeout, ErrBusy)
	conn, err := s.pool.Acquire(waiting)
	if err != nil && waiting.Err() != nil {
		err = context.Cause(waiting)
	}
	cancel()
	if err != nil {
		return s.pooler.learn(err), unavailable(err)
	}
	defer conn.Release()
	ctx, cancel = calls.Bounded(ctx, s.opts.Timeout)
	defer cancel()
	err = statement(ctx, conn.Conn())
	if unusable(err) {
		_ = conn.Conn().Close(ctx)
	}
	if learned = lostPrepared(err); learned {
		s.pooler.found.Store(true)
		s.pool.Reset()
	}
	return learned, unavailable(err)
}

// query runs a statement, scans each row of the result, and calls row. If row returns an error, so
// does query. The server's time, if it is in the result, is the first column; it is zero if there was
// no row. A statement that is retried may have returned rows before: it can fail when it commits. So
// row only replaces; collect is for results of many rows.
func (s *Store) query(ctx context.Context, sql string, a []any, row func() error, into ...any) error {
	return s.do(ctx, queryFunc(sql, a, row, into))
}

// queryNow is query without waiting in the lanes.
func (s *Store) queryNow(ctx context.Context, sql string, a []any, row func() error, into ...any) error {
	return s.doNow(ctx, queryFunc(sql, a, row, into))
}

func queryFunc(sql string, a []any, row func() error, into []any) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		markAsked(into)
		rows, _ := conn.Query(ctx, sql, a...) // ForEachRow returns the error
		_, err := pgx.ForEachRow(rows, into, row)
		return err
	}
}

// A runner is do or doNow.
type runner func(context.Context, func(context.Context, *pgx.Conn) error) error

// collect runs a statement, scans each row of the result, and returns what row makes
// of it: only the rows of the try that succeeded.
func collect[T any](ctx context.Context, run runner, sql string, a []any, row func() (T, error), into ...any) (all []T, err error) {
	err = run(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		all = nil
		return queryFunc(sql, a, func() error {
			one, err := row()
			all = append(all, one)
			return err
		}, into)(ctx, conn)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// texts collects the only column.
func (s *Store) texts(ctx context.Context, run runner, sql statement, a []any) ([]string, error) {
	one := ""
	return collect(ctx, run, s.text(sql), a, func() (string, error) { return one, nil }, (*text)(&one))
}

// markAsked notes when the statement was sent, if the result has the server's time.
func markAsked(into []any) {
	if r, ok := into[0].(*reading); ok {
		r.asked, *r.at = r.clock.Passed(), time.Time{}
	}
}

// noRow is the row function of a query that needs nothing but the scan.
func noRow() error { return nil }

// exec is query without a result.
func (s *Store) exec(ctx context.Context, sql string, a []any) error {
	return s.query(ctx, sql, a, noRow, nil)
}

package pgstore

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A stripe lets in as many as it has places.
type stripe chan struct{}

// stripes is how many doors there are: sessions, and users, that share one wait for
// each other.
const stripes = 256

func (l stripe) try() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l stripe) leave() { <-l }

// enter waits for a place, until ctx ends.
func (l stripe) enter(ctx context.Context) error {
	if l.try() {
		return nil
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// door returns the one of a session or a user. Within a process, they wait there for
// each other instead of in the database, where each would take a connection.
func (s *Store) door(name []byte) stripe {
	sum := sha256.Sum256(name)
	return s.doors[sum[0]]
}

// line waits in line for at most Options.Wait, if it is not too long already.
func (s *Store) line(ctx context.Context, to stripe) error {
	if to.try() {
		return nil
	}
	if !s.waiting.try() {
		return ErrBusy
	}
	defer s.waiting.leave()
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.Wait, ErrBusy)
	defer cancel()
	return unavailable(to.enter(ctx))
}

// do runs a statement on a connection, and again where the server says that nothing
// came of it.
func (s *Store) do(ctx context.Context, statement func(context.Context, *pgconn.PgConn) error) error {
	if err := s.line(ctx, s.running); err != nil {
		return err
	}
	defer s.running.leave()
	return s.doNow(ctx, statement)
}

// tries is how often a statement is said that came to nothing.
const tries = 5

// doNow is do for those who need not wait in line.
func (s *Store) doNow(ctx context.Context, statement func(context.Context, *pgconn.PgConn) error) (err error) {
	for range tries {
		err = s.once(ctx, statement)
		if !undone(err) && !pgconn.SafeToRetry(err) {
			return err
		}
	}
	return err
}

// once runs a statement. Whoever gives up on it does not break it off, which would
// cost the connection: it is bounded by its time.
func (s *Store) once(ctx context.Context, statement func(context.Context, *pgconn.PgConn) error) error {
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
	ctx, cancel = s.bounded(ctx)
	defer cancel()
	err = statement(ctx, conn.Conn().PgConn())
	if spoilt(err) {
		_ = conn.Conn().Close(ctx)
	}
	return unavailable(err)
}

// bounded ends when the deadline of ctx or Options.Timeout is over, whichever comes
// first, but not when ctx is cancelled.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Timeout)
	if deadline, ok := ctx.Deadline(); ok {
		bounded, cancelToo := context.WithDeadline(bounded, deadline)
		return bounded, func() { cancelToo(); cancel() }
	}
	return bounded, cancel
}

// query says a statement, and calls row for each row of the answer. Where that is an
// error, so is query.
func (s *Store) query(ctx context.Context, sql string, a *args, row func(*reader) error) error {
	return s.do(ctx, func(ctx context.Context, conn *pgconn.PgConn) error { return s.ask(ctx, conn, sql, a, row) })
}

func (s *Store) exec(ctx context.Context, sql string, a *args) error {
	return s.query(ctx, sql, a, func(*reader) error { return nil })
}

func (s *Store) ask(ctx context.Context, conn *pgconn.PgConn, sql string, a *args, row func(*reader) error) error {
	asked := s.clock.Passed()
	answer := conn.ExecParams(ctx, sql, a.values, a.types, a.formats, allBinary)
	err := readRows(asked, answer, row)
	if _, closing := answer.Close(); closing != nil {
		return closing
	}
	return err
}

// readRows reads an answer to its end, or to the first row that fails.
func readRows(asked time.Duration, answer *pgconn.ResultReader, row func(*reader) error) error {
	for answer.NextRow() {
		r := reader{values: answer.Values(), asked: asked}
		if err := row(&r); err != nil {
			return err
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

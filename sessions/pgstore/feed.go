package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// Follow tells the sink what any node ends: by listening, or, where the database
// cannot be listened to, by asking each revocation.Heartbeat.
//
// What proves that it hears is a heartbeat of its own, sent the way that revocations
// go (through the pool) and heard where it listens, in less than
// revocation.FeedTimeout: so a pooler that swallows notices, a listener that hangs on a
// server that is not the primary any more, and a channel that lags are all silence.
func (s *Store) Follow(ctx context.Context, sink revocation.Sink) error {
	if !s.opts.Poll && !s.sql.silent {
		err := s.listen(ctx, sink)
		if !errors.Is(err, errDeaf) {
			return err
		}
		s.opts.Log.Warn("the database cannot be listened to here: it is asked for revocations instead", "each", revocation.Heartbeat.String())
	}
	return s.poll(ctx, sink)
}

var (
	// errDeaf means that listening is of no use here.
	errDeaf   = errors.New("nothing is heard where we listen")
	errSilent = fmt.Errorf("%w: the heartbeat does not come back", sessions.ErrUnavailable)
)

// listen follows by LISTEN, until ctx ends or it hears itself no more.
func (s *Store) listen(ctx context.Context, sink revocation.Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := listening{store: s, sink: sink}
	config := s.listener.Copy()
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		if n.Channel == s.sql.channel {
			l.heard = append(l.heard, n.Payload)
		}
	}
	conn, err := s.tune(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := s.bounded(context.WithoutCancel(ctx))
		defer cancel()
		_ = conn.Close(closing)
	}()
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel(nil)
	beating.Go(func() { cancel(l.beat(ctx)) })
	for {
		if err := conn.WaitForNotification(ctx); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return unlessDeaf(err)
		}
		if err := l.tell(ctx); err != nil {
			return unavailable(err)
		}
	}
}

func unlessDeaf(err error) error {
	if errors.Is(err, errDeaf) {
		return errDeaf
	}
	return unavailable(err)
}

// tune connects and says LISTEN.
func (s *Store) tune(ctx context.Context, config *pgconn.Config) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, unavailable(err)
	}
	_, err = conn.Exec(ctx, "LISTEN "+pgx.Identifier{s.sql.channel}.Sanitize()).ReadAll()
	if err == nil {
		return conn, nil
	}
	_ = conn.Close(ctx)
	switch code(err) {
	case codeSyntax, codeNotSupported, codeNoFunction, codePrivilege:
		return nil, errDeaf
	default:
		return nil, unavailable(err)
	}
}

// A listening is one connection that listens.
type listening struct {
	store *Store
	sink  revocation.Sink
	heard []string // not yet told; of the goroutine that listens

	ready bool
	last  atomic.Int64 // when the newest heartbeat that was heard was sent
}

// Silence of so long ends a connection: then the next one is tried. Before anything
// was heard at all it means that nothing can be.
const mostSilence = 2 * revocation.FeedTimeout

// beat sends heartbeats until ctx ends or they do not come back.
func (l *listening) beat(ctx context.Context) error {
	s := l.store
	ticker := time.NewTicker(revocation.Heartbeat)
	defer ticker.Stop()
	began := s.clock.Passed()
	sent := 0
	for {
		err := s.sendHeartbeat(ctx)
		if err == nil {
			sent++
		}
		last := max(began, time.Duration(l.last.Load()))
		switch silence := s.clock.Passed() - last; {
		case ctx.Err() != nil:
			return nil
		case silence < mostSilence:
		case err != nil:
			return err
		case l.last.Load() == 0 && sent > 2:
			return errDeaf
		default:
			return errSilent
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// sendHeartbeat says that this node is there, in time or not at all.
func (s *Store) sendHeartbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, revocation.FeedTimeout)
	defer cancel()
	beat := fmt.Sprintf("h %s %d", s.node, s.clock.Passed().Nanoseconds())
	return s.aside(ctx, s.sql.notify, new(args).string(beat), func(*reader) error { return nil })
}

// aside is query for what does not wait in line.
func (s *Store) aside(ctx context.Context, sql string, a *args, row func(*reader) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.doNow(ctx, func(ctx context.Context, conn *pgconn.PgConn) error { return s.ask(ctx, conn, sql, a, row) })
}

// tell passes on what was heard.
func (l *listening) tell(ctx context.Context) error {
	heard := l.heard
	l.heard = nil
	for _, payload := range heard {
		n, err := readNotice(payload)
		if err != nil {
			n.kind = 'l' // of a newer release perhaps: what it is about is in the log
		}
		switch n.kind {
		case 'h':
			l.hear(&n)
		case 'r':
			l.sink.Revoked(n.key, n.at)
		case 'c':
			c, err := rowcodec.DecodeCutoff(n.key.Realm, n.key.ID, n.at, n.data)
			if err != nil {
				return err
			}
			l.sink.Cutoff(c)
		case 'l':
			if _, err := l.store.look(ctx, l.sink, l.store.Now().Add(-l.store.lookBack())); err != nil {
				return err
			}
		}
	}
	return nil
}

// hear takes a heartbeat. One that comes late proves nothing: what else is said here
// would come as late.
func (l *listening) hear(n *notice) {
	s := l.store
	if n.node != s.node || s.clock.Passed()-n.sent >= revocation.FeedTimeout {
		return
	}
	l.last.Store(int64(n.sent))
	if !l.ready {
		l.ready = true
		l.sink.Ready()
	}
	l.sink.Alive()
}

// Interface guards
var _ revocation.Feed = (*Store)(nil)

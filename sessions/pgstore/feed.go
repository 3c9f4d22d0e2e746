package pgstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/feed"
	"authsidecar/sessions/revocation"
)

// Follow reports to the sink what any node revokes: by listening, or, where the database
// cannot be listened to, by asking each revocation.Heartbeat. Heartbeats go the way that
// revocations go, through the pool.
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

// errDeaf means that listening is of no use here.
var errDeaf = errors.New("nothing is heard where we listen")

// A listening is one connection that listens.
type listening struct {
	feed.Listener

	store *Store
	heard []string // and not yet passed on; of the goroutine that listens
}

// listen follows by LISTEN, until ctx ends or it hears itself no more.
func (s *Store) listen(ctx context.Context, sink revocation.Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := listening{store: s, Listener: feed.Listener{Node: s.node, Clock: s.clock, Sink: sink, Name: readName}}
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
		closing, cancel := calls.Bounded(context.WithoutCancel(ctx), s.opts.Timeout)
		defer cancel()
		_ = conn.Close(closing)
	}()
	l.Begin()
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
		if err := l.pass(ctx); err != nil {
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

// beat sends heartbeats until ctx ends or they do not come back. Where none ever did, the
// database cannot be listened to.
func (l *listening) beat(ctx context.Context) error {
	ticker := time.NewTicker(revocation.Heartbeat)
	defer ticker.Stop()
	sent := 0
	for {
		err := l.store.notify(ctx, l.Heartbeat())
		if err == nil {
			sent++
		}
		switch since, heard := l.SinceHeartbeat(); {
		case ctx.Err() != nil:
			return nil
		case since < feed.HeartbeatTimeout:
		case err != nil:
			return err
		case !heard && sent > 2:
			return errDeaf
		default:
			return feed.ErrNoHeartbeat
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// notify says something on the channel, in time or not at all.
func (s *Store) notify(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, revocation.FeedTimeout)
	defer cancel()
	return s.aside(ctx, s.sql.notify, new(args).string(text), func(*reader) error { return nil })
}

// aside is query for what does not wait in line.
func (s *Store) aside(ctx context.Context, sql string, a *args, row func(*reader) error) error {
	return s.doNow(ctx, func(ctx context.Context, conn *pgx.Conn) error { return s.ask(ctx, conn, sql, a, row) })
}

// pass passes on what was heard. What cannot be read is looked up in the log.
func (l *listening) pass(ctx context.Context) error {
	heard := l.heard
	l.heard = nil
	for _, payload := range heard {
		if l.Hear(payload) == nil {
			continue
		}
		if _, err := l.store.look(ctx, l.Sink, l.store.Now().Add(-l.store.lookBack())); err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var _ revocation.Feed = (*Store)(nil)

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

// Follow reports to the sink what any node revokes: by LISTEN or, if the database does not support
// that, by polling every revocation.Heartbeat. Heartbeats take the path of revocations, through the
// pool.
func (s *Store) Follow(ctx context.Context, sink revocation.Sink) error {
	if !s.opts.Poll && !s.sql.silent {
		err := s.listen(ctx, sink)
		if !errors.Is(err, errNotListening) {
			return err
		}
		s.opts.Log.Warn("LISTEN does not work on this connection: revocations are polled instead", "each", revocation.Heartbeat.String())
	}
	return s.poll(ctx, sink)
}

// errNotListening means that LISTEN does not work here.
var errNotListening = errors.New("LISTEN does not work here")

// A listener is a connection that listens.
type listener struct {
	feed.Listener

	store *Store
	heard []string // received but not passed on; used only by the listening goroutine
}

// listen follows by LISTEN, until ctx ends or its heartbeats no longer come back.
func (s *Store) listen(ctx context.Context, sink revocation.Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := listener{store: s, Listener: feed.Listener{Node: s.node, Clock: s.clock, Sink: sink, Name: readName}}
	config := s.listener.Copy()
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		if n.Channel == s.sql.channel {
			l.heard = append(l.heard, n.Payload)
		}
	}
	conn, err := s.connectListener(ctx, config)
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
	beating.Go(func() { cancel(l.sendHeartbeats(ctx)) })
	for {
		if err := conn.WaitForNotification(ctx); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return listenError(err)
		}
		if err := l.passOn(ctx); err != nil {
			return unavailable(err)
		}
	}
}

func listenError(err error) error {
	if errors.Is(err, errNotListening) {
		return errNotListening
	}
	return unavailable(err)
}

// connectListener connects and executes LISTEN.
func (s *Store) connectListener(ctx context.Context, config *pgconn.Config) (*pgconn.PgConn, error) {
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
		return nil, errNotListening
	default:
		return nil, unavailable(err)
	}
}

// sendHeartbeats sends heartbeats until ctx ends or they no longer come back. If none ever did,
// LISTEN does not work here.
func (l *listener) sendHeartbeats(ctx context.Context) error {
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
			return errNotListening
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

// notify sends a notification within the timeout, or not at all.
func (s *Store) notify(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, revocation.FeedTimeout)
	defer cancel()
	return s.queryNow(ctx, s.text(sqlNotify), args(text), noRow, nil)
}

// passOn passes on what was received. If something cannot be parsed, it reads the log.
func (l *listener) passOn(ctx context.Context) error {
	heard := l.heard
	l.heard = nil
	for _, payload := range heard {
		if l.Hear(payload) == nil {
			continue
		}
		if _, err := l.store.reportRecent(ctx, l.Sink, l.store.Now().Add(-l.store.lookBack())); err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var _ revocation.Feed = (*Store)(nil)

package redisstore

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/feed"
	"authsidecar/sessions/revocation"
)

// Follow reports to the sink what any node revokes, by listening on a separate connection.
func (s *Store) Follow(ctx context.Context, sink revocation.Sink) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	client, release := s.client.Dedicate()
	s.gate.Leave()
	defer release()
	defer client.Close()
	l := listener{
		store: s, unparsed: make(chan struct{}, 1),
		Listener: feed.Listener{Node: s.node, Clock: s.clock, Sink: sink, Name: cutLabel},
	}
	defer l.end()
	l.Begin()
	lost := client.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) { l.message(m.Message) }})
	bounded, cancel := calls.Bounded(ctx, s.opts.Timeout)
	err := client.Do(bounded, client.B().Subscribe().Channel(s.feed).Build()).Error()
	cancel()
	if err != nil {
		return unavailable(err)
	}
	return l.run(ctx, lost)
}

// A listener is a connection that listens.
type listener struct {
	feed.Listener

	store    *Store
	unparsed chan struct{} // something could not be parsed

	mu   sync.Mutex // held while the sink is called
	over bool
}

// end returns once the sink is no longer called.
func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// run sends heartbeats until ctx ends or they no longer come back.
func (l *listener) run(ctx context.Context, lost <-chan error) error {
	ticker := time.NewTicker(revocation.Heartbeat)
	defer ticker.Stop()
	for {
		err := l.store.publish(ctx, l.Heartbeat())
		if since, _ := l.SinceHeartbeat(); since >= feed.HeartbeatTimeout {
			return cmp.Or(err, feed.ErrNoHeartbeat)
		}
		select {
		case <-ctx.Done():
			return unavailable(context.Cause(ctx))
		case err := <-lost:
			return unavailable(cmp.Or(err, feed.ErrNoHeartbeat))
		case <-l.unparsed:
			if err := l.catchUp(ctx); err != nil {
				return err
			}
		case <-ticker.C:
		}
	}
}

// publish sends a notification within the timeout, or not at all.
func (s *Store) publish(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, revocation.FeedTimeout)
	defer cancel()
	_, err := s.askNow(ctx, s.client.B().Publish().Channel(s.feed).Message(text).Build())
	return err
}

// catchUp reports to the sink the log and the cutoffs, which include what could not be parsed.
func (l *listener) catchUp(ctx context.Context) error {
	s := l.store
	if err := s.Revoked(ctx, s.Now().Add(-revocation.Retention), l.Sink.Revoked); err != nil {
		return err
	}
	cutoffs, err := s.allCutoffs(ctx)
	if err != nil {
		return err
	}
	for i := range cutoffs {
		c, err := cutoffs[i].decode()
		if err != nil {
			return err
		}
		l.Sink.Cutoff(c)
	}
	return nil
}

// message passes on what was received.
func (l *listener) message(payload string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.Hear(payload) == nil {
		return
	}
	select {
	case l.unparsed <- struct{}{}:
	default:
	}
}

// Interface guards
var _ revocation.Feed = (*Store)(nil)

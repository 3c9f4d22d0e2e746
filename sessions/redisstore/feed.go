package redisstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// Silence of so long ends a connection: then the next one is tried.
const mostSilence = 2 * revocation.FeedTimeout

var errSilent = fmt.Errorf("%w: the heartbeat does not come back", sessions.ErrUnavailable)

// Follow tells the sink what any node ends, by listening on a connection of its own.
//
// What proves that it hears is a heartbeat of its own, sent the way that revocations
// go and heard where it listens, in less than revocation.FeedTimeout: so a listener that
// hangs on a server that nobody writes to any more, and a channel that lags, are both
// silence.
func (s *Store) Follow(ctx context.Context, sink revocation.Sink) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	client, release := s.client.Dedicate()
	s.leave()
	defer release()
	defer client.Close()
	l := listening{store: s, sink: sink, unread: make(chan struct{}, 1)}
	defer l.end()
	lost := client.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) { l.hear(m.Message) }})
	bounded, cancel := s.bounded(ctx)
	err := client.Do(bounded, client.B().Subscribe().Channel(s.feed).Build()).Error()
	cancel()
	if err != nil {
		return unavailable(err)
	}
	return l.run(ctx, lost)
}

// A listening is one connection that listens.
type listening struct {
	store  *Store
	sink   revocation.Sink
	unread chan struct{} // something was said that nobody could read

	last atomic.Int64 // when the newest heartbeat that was heard was sent

	mu    sync.Mutex // held while the sink is told
	ready bool
	over  bool
}

// end returns when the sink is told nothing any more.
func (l *listening) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// run sends heartbeats until ctx ends or they do not come back.
func (l *listening) run(ctx context.Context, lost <-chan error) error {
	s := l.store
	ticker := time.NewTicker(revocation.Heartbeat)
	defer ticker.Stop()
	began := s.clock.Passed()
	for {
		err := s.sendHeartbeat(ctx)
		last := max(began, time.Duration(l.last.Load()))
		if silence := s.clock.Passed() - last; silence >= mostSilence {
			if err == nil {
				err = errSilent
			}
			return err
		}
		select {
		case <-ctx.Done():
			return unavailable(context.Cause(ctx))
		case err := <-lost:
			if err == nil {
				err = errSilent
			}
			return unavailable(err)
		case <-l.unread:
			if err := l.look(ctx); err != nil {
				return err
			}
		case <-ticker.C:
		}
	}
}

// sendHeartbeat says that this node is there, in time or not at all.
func (s *Store) sendHeartbeat(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	ctx, cancel := context.WithTimeout(ctx, revocation.FeedTimeout)
	defer cancel()
	beat := fmt.Sprintf("h %s %d", s.node, s.clock.Passed().Nanoseconds())
	_, err := s.askNow(ctx, s.client.B().Publish().Channel(s.feed).Message(beat).Build())
	return err
}

// look tells the sink what is in the log and the cutoffs: what it could not read is
// among it.
func (l *listening) look(ctx context.Context) error {
	s := l.store
	if err := s.Revoked(ctx, s.Now().Add(-revocation.Retention), l.sink.Revoked); err != nil {
		return err
	}
	cutoffs, err := s.allCutoffs(ctx)
	if err != nil {
		return err
	}
	for i := range cutoffs {
		c, err := rowcodec.DecodeCutoff(cutoffs[i].key.Realm, cutoffs[i].key.ID, cutoffs[i].at, []byte(cutoffs[i].data))
		if err != nil {
			return err
		}
		l.sink.Cutoff(c)
	}
	return nil
}

// hear passes on what was heard.
func (l *listening) hear(payload string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	n, err := readNotice(payload)
	var c revocation.Cutoff
	if err == nil && n.kind == 'c' {
		c, err = rowcodec.DecodeCutoff(n.key.Realm, n.key.ID, n.at, []byte(n.data))
	}
	switch {
	case err != nil: // of a newer release perhaps: what it is about is in the store
		select {
		case l.unread <- struct{}{}:
		default:
		}
	case n.kind == 'r':
		l.sink.Revoked(n.key, n.at)
	case n.kind == 'c':
		l.sink.Cutoff(c)
	default:
		l.beat(&n)
	}
}

// beat takes a heartbeat. One that comes late proves nothing: what else is said here
// would come as late.
func (l *listening) beat(n *notice) {
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

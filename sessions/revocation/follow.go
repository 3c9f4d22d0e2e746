package revocation

import (
	"context"
	"sync"
	"time"

	"authsidecar/sessions"
)

// follower is the sink of one connection of a feed.
type follower struct {
	w     *Watcher
	ready chan struct{}
}

// run follows the feed until its connection is lost.
func (f *follower) run(ctx context.Context, feed Feed) error {
	ctx, cancel := context.WithCancel(ctx)
	var loading sync.WaitGroup
	loading.Go(func() { f.catchUp(ctx) })
	defer loading.Wait()
	defer cancel()
	return feed.Follow(ctx, f)
}

func (f *follower) Ready() {
	f.Alive()
	f.ready <- struct{}{}
}

func (f *follower) Alive() {
	now := f.w.now()
	f.w.change(func(s *state) { s.heard = now })
}

func (f *follower) Revoked(key sessions.Key, at time.Time) { f.w.Deny.Add(key, at) }

func (f *follower) Cutoff(c Cutoff) { f.w.add(c) }

// catchUp loads what the feed missed, once it is ready; from then on the watcher is not degraded.
func (f *follower) catchUp(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.ready:
	}
	for ctx.Err() == nil {
		err := f.w.load(ctx)
		if err == nil {
			f.w.change(func(s *state) { s.since = time.Time{} })
			return
		}
		if ctx.Err() == nil {
			f.w.reportLost(err)
		}
		pause(ctx, Heartbeat)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

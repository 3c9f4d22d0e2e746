package streams

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"authsidecar/sessions"
)

const (
	// scanPause is the minimum time between two scans of all sessions, however many are revoked:
	// scanning 100,000 sessions takes a few hundredths of a second.
	scanPause = 100 * time.Millisecond
	// checkPause is how often due sessions are searched for, askers how many ask the store
	// concurrently, and checkTimeout how long a response may take.
	checkPause   = time.Second
	checkers     = 8
	checkTimeout = time.Second
)

// Run closes streams until ctx ends, and then all that are left.
func (r *Registry) Run(ctx context.Context) {
	changes, stop := r.Watch.Deny.Changes()
	defer stop()
	defer r.close()
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { every(ctx, checkPause, r.checkDue) })
	pause := time.NewTicker(scanPause)
	defer pause.Stop()
	for ctx.Err() == nil {
		for _, s := range r.denied() {
			r.End(s.ref.Key)
		}
		select {
		case <-ctx.Done():
		case <-changes:
		}
		select {
		case <-ctx.Done():
		case <-pause.C: // may have fired long ago
		}
	}
}

func (r *Registry) denied() []*session {
	return r.sessions(func(s *session) bool { return r.Watch.Deny.Revoked(&s.ref) })
}

func every(ctx context.Context, pause time.Duration, do func(context.Context)) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do(ctx)
		}
	}
}

// checkDue asks whether due sessions are live; all sessions if the watcher is degraded.
func (r *Registry) checkDue(ctx context.Context) {
	now, degraded := r.Store.Now(), r.Watch.Degraded() > 0
	var group errgroup.Group
	group.SetLimit(checkers)
	for _, s := range r.sessions(func(s *session) bool { return degraded || s.isDue(now) }) {
		due := s.isDue(now)
		group.Go(func() error {
			if over := r.check(ctx, s, due); over && ctx.Err() == nil {
				r.End(s.ref.Key)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}

func (s *session) isDue(now time.Time) bool { return !now.Before(*s.due.Load()) }

// check reports whether the session is over.
func (r *Registry) check(ctx context.Context, s *session, due bool) bool {
	if !due {
		ended, err := r.Watch.Revoked(ctx, s.ref)
		return ended || err != nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	row, err := r.Store.Get(ctx, s.ref.Key)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return true
	case err != nil:
		return s.ref.Impersonation // others are asked for again
	case !row.Live(r.Store.Now()):
		return true
	}
	end := row.End()
	s.due.Store(&end)
	return r.Watch.Deny.Revoked(&s.ref)
}

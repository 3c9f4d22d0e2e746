package bearer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"authsidecar/sessions/jose"
)

// Run keeps the keys fresh until ctx ends: it asks for them now, when they are
// due, and when somebody presents an unknown key id. One Run at a time.
func (r *Remote) Run(ctx context.Context) {
	r.mu.Lock()
	r.ended = false
	r.mu.Unlock()
	defer r.end()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			r.begin(false)
		case <-r.ask:
			if !r.begin(true) {
				continue // asked again for what has been done
			}
		}
		timer.Reset(r.refresh(ctx))
	}
}

// end lets nobody wait for a fetch that will not be.
func (r *Remote) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.fetching, r.next = true, false, time.Time{}
	r.release()
}

// release wakes those who wait. The lock is held.
func (r *Remote) release() {
	close(r.done)
	r.done = make(chan struct{})
}

// begin records that a fetch is under way, if one may begin.
func (r *Remote) begin(asked bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked && !r.mayAsk() {
		return false
	}
	select {
	case <-r.ask: // whoever asked gets this one
		asked = true
	default:
	}
	if asked {
		r.asked = r.config.Now()
	}
	r.fetching = true
	return true
}

// refresh asks for the keys and returns how long to wait before the next time.
func (r *Remote) refresh(ctx context.Context) time.Duration {
	bounded, cancel := context.WithTimeout(ctx, r.config.Timeout)
	got, err := r.fetch(bounded)
	cancel()
	if ctx.Err() != nil {
		return MinRetry // Run is over
	}
	at := r.config.Now()
	changed := err == nil && r.good.install(got.set, at)
	wait := r.finish(got, err, at)
	if err != nil {
		what := "keys cannot be got, and there are none; tokens that need them are answered 503 until they can"
		usable := r.usable() != nil
		if usable {
			what = "keys cannot be got; the last good ones go on for a while"
		}
		r.config.Log.ErrorContext(ctx, what, slog.Any("error", err), slog.Bool("usable", usable))
		return wait
	}
	if changed {
		logChange(ctx, r.config.Log, r.good.current.Load(), got.skipped)
	}
	r.remember(ctx, got.jwks, at)
	return wait
}

// finish notes what came out, wakes those who wait, and returns how long to
// wait before the next time.
func (r *Remote) finish(got *fetched, err error, at time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.fetching = err, false
	var wait time.Duration
	if err == nil {
		r.failures = 0
		wait = spread(got.fresh)
	} else {
		wait = spread(min(MinRetry<<min(r.failures, 10), MaxRetry))
		r.failures++
	}
	r.next = at.Add(wait)
	r.release()
	return wait
}

// spread shortens d by up to a fifth, so that many nodes do not ask at once.
func spread(d time.Duration) time.Duration {
	return d - rand.N(d/5) //nolint:gosec // nobody gains by guessing it
}

// Refresh asks the issuer for its keys now, and waits for them, until ctx ends or
// for Timeout. A fetch that is under way is as good. The error wraps
// ErrKeysUnavailable; the last good keys go on.
func (r *Remote) Refresh(ctx context.Context) error {
	r.mu.Lock()
	r.asked = time.Time{} // no cooldown: nobody from outside asks
	r.mu.Unlock()
	return r.renew(ctx)
}

// Fetch asks the issuer for its keys once, without a Run, and returns them: nothing is remembered.
// The error wraps ErrDiscovery where it did not say where they are.
func (r *Remote) Fetch(ctx context.Context) ([]*jose.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	got, err := r.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return got.set.Keys(), nil
}

// Public returns the keys that are in use.
func (r *Remote) Public() []*jose.Key { return r.usable().keys() }

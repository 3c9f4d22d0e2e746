package bearer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"authsidecar/sessions/jose"
)

// Run keeps the keys fresh until ctx ends: it fetches them at once, when they are due, and when a
// request presents an unknown key id. Only one Run may be active.
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
				continue // a fetch that is already done
			}
		}
		timer.Reset(r.refresh(ctx))
	}
}

// end releases all waiters when no more fetches will happen.
func (r *Remote) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.fetching, r.next = true, false, time.Time{}
	r.release()
}

// release wakes all waiters. The lock is held.
func (r *Remote) release() {
	close(r.done)
	r.done = make(chan struct{})
}

// begin records the start of a fetch, and reports whether one may start.
func (r *Remote) begin(asked bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked && !r.mayAsk() {
		return false
	}
	select {
	case <-r.ask: // this fetch also answers that request
		asked = true
	default:
	}
	if asked {
		r.asked = r.config.Now()
	}
	r.fetching = true
	return true
}

// refresh fetches the keys and returns how long to wait before the next fetch.
func (r *Remote) refresh(ctx context.Context) time.Duration {
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	got, err := r.fetch(bounded)
	cancel()
	if ctx.Err() != nil {
		return MinRetry // Run is ending
	}
	at := r.config.Now()
	if err == nil {
		r.good.install(ctx, r.config.Log, got.set, got.skipped, at)
	}
	wait := r.finish(got, err, at)
	if err != nil {
		what := "keys cannot be fetched, and there are none; tokens that need them get 503 until they can"
		usable := r.usable() != nil
		if usable {
			what = "keys cannot be fetched; the last ones stay in use for a while"
		}
		r.config.Log.ErrorContext(ctx, what, slog.Any("error", err), slog.Bool("usable", usable))
		return wait
	}
	r.remember(ctx, got.jwks, at)
	return wait
}

// finish records the result, wakes all waiters, and returns how long to wait before the next fetch.
func (r *Remote) finish(got *fetched, err error, at time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.fetching = err, false
	var wait time.Duration
	if err == nil {
		r.failures = 0
		wait = jitter(got.fresh)
	} else {
		wait = jitter(min(MinRetry<<min(r.failures, 10), MaxRetry))
		r.failures++
	}
	r.next = at.Add(wait)
	r.release()
	return wait
}

// jitter shortens d by up to a fifth, so that many nodes do not fetch at the same time.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/5) //nolint:gosec // not a secret
}

// Refresh fetches the issuer's keys and waits for them, until ctx ends or for MaxFetch. It joins a
// fetch that is under way. The error wraps ErrKeysUnavailable; the previous keys stay in use.
func (r *Remote) Refresh(ctx context.Context) error {
	r.mu.Lock()
	r.asked = time.Time{} // no cooldown: the operator asks
	r.mu.Unlock()
	return r.renew(ctx)
}

// Fetch fetches the issuer's keys once, without a Run, and returns them without storing them. The
// error wraps ErrDiscovery if their location could not be discovered.
func (r *Remote) Fetch(ctx context.Context) ([]*jose.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	got, err := r.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return got.set.Keys(), nil
}

// Public returns the keys that are in use.
func (r *Remote) Public() []*jose.Key { return r.usable().keys() }

package revocation

import (
	"sync"
	"time"

	"authsidecar/sessions"
)

// sharedLookups are the store's responses during the current second, so that a degraded node asks
// once per session, and a store that is down is asked once in all.
type sharedLookups struct {
	mu      sync.Mutex
	until   time.Time
	lookups map[sessions.Key]func() (revoked bool, err error)
	down    error // the store failed: do not ask again
}

// of returns the answer for a session: that of the current second, otherwise what look returns.
func (a *sharedLookups) of(key sessions.Key, now time.Time, look func() (bool, error)) (revoked bool, err error) {
	a.mu.Lock()
	if !now.Before(a.until) {
		a.until, a.lookups, a.down = now.Add(FeedTimeout), make(map[sessions.Key]func() (bool, error)), nil
	}
	once, asked := a.lookups[key]
	if !asked && a.down != nil {
		defer a.mu.Unlock()
		return false, a.down
	}
	if !asked {
		once = sync.OnceValues(look)
		a.lookups[key] = once
	}
	a.mu.Unlock()
	if revoked, err = once(); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if now.Before(a.until) {
			a.down = err
		}
	}
	return revoked, err
}

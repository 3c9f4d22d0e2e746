package revocation

import (
	"sync"
	"time"

	"authsidecar/sessions"
)

// answers are the store's responses during the current second, so that a degraded node asks once
// per session, and a store that is down is asked once in all.
type answers struct {
	mu    sync.Mutex
	until time.Time
	byKey map[sessions.Key]*answer
	down  *answer // the store failed: do not ask again
}

// An answer is known once done is closed.
type answer struct {
	done    chan struct{}
	revoked bool
	err     error
}

// of returns the answer for a session. If asks is true, the caller must ask the store, set the
// answer, and close done.
func (a *answers) of(key sessions.Key, now time.Time) (found *answer, asks bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !now.Before(a.until) || a.byKey == nil {
		a.until, a.byKey, a.down = now.Add(FeedTimeout), make(map[sessions.Key]*answer), nil
	}
	if found := a.byKey[key]; found != nil {
		return found, false
	}
	if a.down != nil {
		return a.down, false
	}
	found = &answer{done: make(chan struct{})}
	a.byKey[key] = found
	return found, true
}

// fail makes err the answer for all sessions that have not been asked for.
func (a *answers) fail(err error, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil || !now.Before(a.until) {
		return
	}
	a.down = &answer{done: make(chan struct{}), err: err}
	close(a.down.done)
}

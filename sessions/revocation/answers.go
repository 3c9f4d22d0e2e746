package revocation

import (
	"sync"
	"time"

	"authsidecar/sessions"
)

// answers are what the store said during the current second, so that a degraded node asks
// it once for each session, and a store that is down once for all of them.
type answers struct {
	mu    sync.Mutex
	until time.Time
	byKey map[sessions.Key]*answer
	down  *answer // the store failed: nobody asks again
}

// An answer is known when done is closed.
type answer struct {
	done    chan struct{}
	revoked bool
	err     error
}

// of returns the answer about a session. asks reports whether the caller is to ask the
// store for it, and to close done.
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

// fail makes err the answer about all sessions that are not asked for yet.
func (a *answers) fail(err error, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil || !now.Before(a.until) {
		return
	}
	a.down = &answer{done: make(chan struct{}), err: err}
	close(a.down.done)
}

package caddymodule

import (
	"context"
	"sync"
	"time"

	"authsidecar/sessions"
)

// liveSessions estimates how many sessions of each realm a store has that are not
// over. The store is read through in the background, slowly; from then on, what this
// process creates and ends counts, until the next time.
type liveSessions struct {
	mu     sync.Mutex
	realms map[string]liveCount // nil: not counted yet
}

// A liveCount is how many sessions are live, of each kind.
type liveCount struct{ own, impersonated int }

// The store is read through each liveEvery, livePage rows at a time, and left alone
// after each page liveRest times as long as it took: so it takes a twentieth of a
// processor at the most.
const (
	liveEvery = 5 * time.Minute
	livePage  = 500
	liveRest  = 20
)

// of returns the count of a realm; ok tells whether there is one.
func (l *liveSessions) of(realm string) (n liveCount, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.realms[realm], l.realms != nil
}

// change notes that a session came or went.
func (l *liveSessions) change(s *sessions.Session, by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.realms != nil {
		n := l.realms[s.Realm]
		n.add(s.Impersonation, by)
		l.realms[s.Realm] = n
	}
}

func (n *liveCount) add(impersonated bool, by int) {
	if impersonated {
		n.impersonated = max(0, n.impersonated+by)
	} else {
		n.own = max(0, n.own+by)
	}
}

// run counts until ctx ends. A store that cannot be read through is not counted.
func (l *liveSessions) run(ctx context.Context, store sessions.Store) {
	scanner, ok := sessions.As[sessions.Scanner](store)
	if !ok {
		return
	}
	round := func() {
		if counted, ok := countLive(ctx, scanner, store.Now); ok {
			l.mu.Lock()
			l.realms = counted
			l.mu.Unlock()
		}
	}
	round()
	every(ctx, liveEvery, round)
}

// countLive reads the store through. ok tells that it got to the end.
func countLive(ctx context.Context, store sessions.Scanner, clock func() time.Time) (counted map[string]liveCount, ok bool) {
	counted = make(map[string]liveCount)
	for cursor := ""; ; {
		start := time.Now()
		page, err := store.Scan(ctx, cursor, livePage)
		if err != nil {
			return nil, false
		}
		now := clock()
		for i := range page.Sessions {
			if s := &page.Sessions[i]; s.Live(now) {
				n := counted[s.Realm]
				n.add(s.Impersonation, 1)
				counted[s.Realm] = n
			}
		}
		if cursor = page.Next; cursor == "" {
			return counted, true
		}
		rest := time.NewTimer(liveRest * time.Since(start))
		select {
		case <-ctx.Done():
			rest.Stop()
			return nil, false
		case <-rest.C:
		}
	}
}

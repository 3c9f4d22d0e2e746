package observe

import (
	"context"
	"sync"
	"time"

	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

// Live estimates how many sessions of each realm a store has that are not
// over. The store is read through in the background, slowly; from then on, what this
// process creates and ends counts, until the next time.
type Live struct {
	mu     sync.Mutex
	realms map[string]LiveCount // nil: not counted yet
}

// A LiveCount is how many sessions are live, of each kind.
type LiveCount struct {
	Own          int `json:"own"`
	Impersonated int `json:"impersonations"`
}

// The store is read through livePage rows at a time, and left alone after each page liveRest times as
// long as it took, so that nobody has to wait for it; and again after liveEvery, or liveShare times as
// long as all pages took, so that a large store takes half a percent of a processor at the most.
const (
	liveEvery = 5 * time.Minute
	livePage  = 500
	liveRest  = 20
	liveShare = 200
)

// Of returns the count of a realm; ok reports whether there is one.
func (l *Live) Of(realm string) (n LiveCount, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.realms[realm], l.realms != nil
}

// count counts the session that an event begins or ends.
func (l *Live) count(e *sessions.Event) {
	switch e.Kind {
	case event.Created, event.Opened:
		l.change(e.Session, 1)
	case event.Revoked, event.Reuse, event.StoreBehind, event.Expired:
		l.change(e.Session, -1)
	default:
	}
}

// change counts a session that began or ended. One that is pending is neither.
func (l *Live) change(s *sessions.Session, by int) {
	if s.Pending != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.realms != nil {
		n := l.realms[s.Realm]
		n.add(s.Impersonation, by)
		l.realms[s.Realm] = n
	}
}

func (n *LiveCount) add(impersonated bool, by int) {
	if impersonated {
		n.Impersonated = max(0, n.Impersonated+by)
	} else {
		n.Own = max(0, n.Own+by)
	}
}

// Run counts until ctx ends. A store that cannot be read through is not counted.
func (l *Live) Run(ctx context.Context, store sessions.Store) {
	scanner, ok := sessions.As[sessions.AdminStore](store)
	if !ok {
		return
	}
	for {
		counted, took, ok := countLive(ctx, scanner, store.Now)
		if ok {
			l.mu.Lock()
			l.realms = counted
			l.mu.Unlock()
		}
		if !periodic.Wait(ctx, max(liveEvery, liveShare*took)) {
			return
		}
	}
}

// countLive reads the store through. took is how long the store took for that; ok reports whether that
// got to the end.
func countLive(ctx context.Context, store sessions.AdminStore, clock func() time.Time) (counted map[string]LiveCount, took time.Duration, ok bool) {
	counted = make(map[string]LiveCount)
	for cursor := ""; ; {
		start := time.Now()
		page, err := store.Scan(ctx, cursor, livePage)
		if err != nil {
			return nil, took, false
		}
		now := clock()
		for i := range page.Sessions {
			if s := &page.Sessions[i]; s.Live(now) && s.Pending == nil {
				n := counted[s.Realm]
				n.add(s.Impersonation, 1)
				counted[s.Realm] = n
			}
		}
		this := time.Since(start)
		took += this
		if cursor = page.Next; cursor == "" {
			return counted, took, true
		}
		if !periodic.Wait(ctx, liveRest*this) {
			return nil, took, false
		}
	}
}

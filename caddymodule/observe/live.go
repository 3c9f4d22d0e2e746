package observe

import (
	"context"
	"sync"
	"time"

	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

// Live estimates how many live sessions each realm has in a store. The store is scanned slowly in
// the background; between scans, the sessions that this process creates and revokes are added and
// subtracted. Those that begin or end during a scan may be counted wrongly until the next.
type Live struct {
	mu     sync.Mutex
	realms map[string]LiveCount // nil: not counted yet
}

// A LiveCount is the number of live sessions of each kind.
type LiveCount struct {
	Own          int `json:"own"`
	Impersonated int `json:"impersonations"`
}

// A scan reads livePage rows at a time, and after each page pauses for liveRest times the duration
// of the page, so that it delays nobody. The next scan begins after liveEvery, or after liveShare
// times the duration of all pages, so that a large store costs at most half a percent of a
// processor.
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

// change counts a session that began or ended. Pending sessions do not count.
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

// Run counts until ctx ends. A store that does not support Scan is not counted.
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

// countLive scans the store. took is how long the store took; ok reports whether the scan
// completed.
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

package sessions

import (
	"sync"
	"time"
)

// glances are what the store answered during the present second.
type glances struct {
	mu    sync.Mutex
	until time.Time
	seen  map[Key]*glance
	down  *glance // the store failed: that is the answer to all who come
}

type glance struct {
	done  chan struct{}
	ended bool
	err   error
}

// of returns the glance at a session. mine: the caller is to make it.
func (g *glances) of(key Key, now time.Time) (found *glance, mine bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !now.Before(g.until) || g.seen == nil {
		g.until, g.seen, g.down = now.Add(FeedSilence), make(map[Key]*glance), nil
	}
	if found := g.seen[key]; found != nil {
		return found, false
	}
	if g.down != nil {
		return g.down, false
	}
	found = &glance{done: make(chan struct{})}
	g.seen[key] = found
	return found, true
}

func (g *glances) fail(err error, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down != nil || !now.Before(g.until) {
		return
	}
	g.down = &glance{done: make(chan struct{}), err: err}
	close(g.down.done)
}

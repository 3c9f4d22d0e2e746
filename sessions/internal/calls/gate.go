package calls

import (
	"context"
	"sync"

	"authsidecar/sessions"
)

// A Gate makes Close wait for the calls that have entered.
type Gate struct {
	mu     sync.RWMutex
	closed bool
}

// Enter admits a call, which must Leave unless there is an error.
func (g *Gate) Enter(ctx context.Context) error {
	if err := CheckContext(ctx); err != nil {
		return err
	}
	if !g.mu.TryRLock() { // being closed
		return sessions.ErrClosed
	}
	if g.closed {
		g.mu.RUnlock()
		return sessions.ErrClosed
	}
	return nil
}

// Leave ends a call.
func (g *Gate) Leave() { g.mu.RUnlock() }

// Close admits no more calls, waits for those that have entered, and calls end once.
func (g *Gate) Close(end func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	return end()
}

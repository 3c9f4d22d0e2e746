package calls

import (
	"context"
	"sync"

	"authsidecar/sessions"
)

// A Gate is what Close waits at until the calls that are inside have left.
type Gate struct {
	mu     sync.RWMutex
	closed bool
}

// Enter lets a call in, which leaves unless there is an error.
func (g *Gate) Enter(ctx context.Context) error {
	if err := Done(ctx); err != nil {
		return err
	}
	if !g.mu.TryRLock() { // somebody closes it
		return sessions.ErrClosed
	}
	if g.closed {
		g.mu.RUnlock()
		return sessions.ErrClosed
	}
	return nil
}

// Leave lets a call out.
func (g *Gate) Leave() { g.mu.RUnlock() }

// Close lets nobody in any more, waits for those inside, and calls end once.
func (g *Gate) Close(end func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	return end()
}

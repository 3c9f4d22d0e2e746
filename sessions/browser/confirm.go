package browser

import (
	"context"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
)

const (
	// confirmTimeout bounds how long it may take to note that a token arrived.
	confirmTimeout = 10 * time.Second
	// maxConfirms is how many are noted at once, and confirmPause for how long none is after one
	// failed: a store that is slow or down is not to be asked for each request.
	maxConfirms  = 64
	confirmPause = time.Second
)

// confirms are the notes that tokens in cookies arrived: those that are being made.
type confirms struct {
	open   atomic.Int64
	paused atomic.Int64 // until then, in milliseconds since 1970
}

// confirm notes that a token in a cookie arrived, while its request goes on. Where it is not noted
// a later request tries again.
func (a *Authenticator) confirm(c *sessions.Caller) {
	if rest := a.confirms.paused.Load() - a.Manager.Store.Now().UnixMilli(); rest > 0 && rest <= confirmPause.Milliseconds() { // whatever the clock does
		return
	}
	if a.confirms.open.Add(1) > maxConfirms {
		a.confirms.open.Add(-1)
		return
	}
	go func() {
		defer a.confirms.open.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
		defer cancel()
		err := endpoint.Safely(func() error { return a.Manager.Confirm(ctx, c) })
		if err != nil {
			a.confirms.paused.Store(a.Manager.Store.Now().Add(confirmPause).UnixMilli())
			a.Undone("note that a session's new cookies arrived", err)
		}
	}()
}

package browser

import (
	"context"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
)

const (
	// confirmTimeout limits how long recording an arrival may take.
	confirmTimeout = 10 * time.Second
	// maxConfirms is how many arrivals are recorded concurrently, and confirmPause how long none
	// are after a failure, so that a slow or failed store is not asked for each request.
	maxConfirms  = 64
	confirmPause = time.Second
)

// confirms are the arrivals of tokens in cookies that are being recorded.
type confirms struct {
	open   atomic.Int64
	paused atomic.Int64 // until this time, in milliseconds since 1970
}

// confirm records, in the background, that a token in a cookie arrived. If that fails, a later
// request tries again.
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

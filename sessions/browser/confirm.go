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

// confirmations are the arrivals of tokens in cookies that are being recorded.
type confirmations struct {
	open   atomic.Int64
	paused atomic.Int64 // until this time, in milliseconds since 1970
}

// confirm records, in the background, that a token in a cookie arrived. If that fails, a later
// request tries again.
func (a *Authenticator) confirm(c *sessions.Caller) {
	if rest := a.confirmations.paused.Load() - a.Manager.Store.Now().UnixMilli(); rest > 0 && rest <= confirmPause.Milliseconds() { // whatever the clock does
		return
	}
	if a.confirmations.open.Add(1) > maxConfirms {
		a.confirmations.open.Add(-1)
		return
	}
	go func() {
		defer a.confirmations.open.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
		defer cancel()
		err := endpoint.Recover(func() error { return a.Manager.Confirm(ctx, c) })
		if err != nil {
			a.confirmations.paused.Store(a.Manager.Store.Now().Add(confirmPause).UnixMilli())
			a.Incomplete("note that a session's new cookies arrived", err)
		}
	}()
}

// Package periodic runs functions periodically, and waits.
package periodic

import (
	"context"
	"time"
)

// Run calls do after each pause until ctx ends.
func Run(ctx context.Context, pause time.Duration, do func()) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// Wait waits for pause or the end of ctx, and reports whether ctx is still active.
func Wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

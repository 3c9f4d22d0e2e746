// Package periodic does things again and again.
package periodic

import (
	"context"
	"time"
)

// Run does something each pause, the first time after one, until ctx ends.
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

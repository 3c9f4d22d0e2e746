package pebblestore

import (
	"context"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// What one caller reads is not to keep others waiting: pages are read by turns, and what was deleted
// is not walked past again and again.

// newTurns returns how many pages are read at once. More would have each of them interrupted for as
// long as all others go on (10 ms each), where the first of those who wait is served next.
func newTurns() chan struct{} { return make(chan struct{}, runtime.GOMAXPROCS(0)) }

// turn waits until it is the caller's turn to read a page, in the order in which they came.
func (s *Store) turn(ctx context.Context) error {
	select {
	case s.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

const (
	// tooManyHidden is how many deleted entries a walk may step over: a millisecond's worth.
	tooManyHidden = 4096
	// tidyRest is how many times as long as it took nothing is tidied after that.
	tidyRest = 20
)

// closeWalk closes an iterator of a range. Where it stepped over very many entries that were deleted,
// Pebble writes the range without them, in the background.
func (e *engine) closeWalk(iter *pebble.Iterator, lower, upper []byte) error {
	steps := iter.Stats().ForwardStepCount
	if steps[pebble.InternalIterCall]-steps[pebble.InterfaceCall] > tooManyHidden {
		e.tidy(lower, upper)
	}
	return iter.Close()
}

// tidy writes a range without what was deleted in it, one at a time.
func (e *engine) tidy(lower, upper []byte) {
	if !e.tidying.CompareAndSwap(false, true) {
		return
	}
	e.commits.Go(func() {
		// How long it takes is no time of a session. What fails is logged where it does, and done again.
		start := time.Now() //nolint:forbidigo // see above
		_ = e.db.Compact(e.ending, lower, upper, false)
		time.AfterFunc(tidyRest*time.Since(start), func() { e.tidying.Store(false) }) //nolint:forbidigo // see above
	})
}

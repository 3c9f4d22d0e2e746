package calls

import (
	"context"
	"time"
)

// A Lane lets in as many as it has places.
type Lane chan struct{}

// Leave gives the place back.
func (l Lane) Leave() { <-l }

func (l Lane) try() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

// stripes is how many lanes of one place there are: changes that share one wait for each other.
const stripes = 256

// Lanes bound how many calls a node makes at once, and how many wait until they can.
type Lanes struct {
	running Lane // calls that are under way
	waiting Lane // calls that may wait until there are fewer
	stripes [stripes]Lane
	wait    time.Duration
	busy    error
}

// NewLanes returns lanes for so many calls at once, for each of which so many may wait. Whoever
// waits longer, or comes after them, gets busy.
func NewLanes(running, waiting int, wait time.Duration, busy error) *Lanes {
	l := &Lanes{running: make(Lane, running), waiting: make(Lane, running*waiting), wait: wait, busy: busy}
	for i := range l.stripes {
		l.stripes[i] = make(Lane, 1)
	}
	return l
}

// Run returns the lane of calls when there is a place in it, taken for the caller.
func (l *Lanes) Run(ctx context.Context) (Lane, error) { return l.running, l.enter(ctx, l.running) }

// Exclusive is Run for those who change what the hash is of. Within a process, they wait here for each
// other instead of trying again and again at the server.
func (l *Lanes) Exclusive(ctx context.Context, hash uint32) (Lane, error) {
	lane := l.stripes[hash%stripes]
	return lane, l.enter(ctx, lane)
}

func (l *Lanes) enter(ctx context.Context, to Lane) error {
	if to.try() {
		return nil
	}
	if !l.waiting.try() {
		return l.busy
	}
	defer l.waiting.Leave()
	ctx, cancel := context.WithTimeoutCause(ctx, l.wait, l.busy)
	defer cancel()
	select {
	case to <- struct{}{}:
		return nil
	case <-ctx.Done():
		return Unavailable(context.Cause(ctx))
	}
}

// Bounded ends when the deadline of ctx or the timeout is over, whichever comes first, but not when
// ctx is cancelled: what was sent is sent.
func Bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	if deadline, ok := ctx.Deadline(); ok {
		bounded, cancelToo := context.WithDeadline(bounded, deadline)
		return bounded, func() { cancelToo(); cancel() }
	}
	return bounded, cancel
}

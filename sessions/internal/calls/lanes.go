package calls

import (
	"context"
	"sync"
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

// Lanes bound how many calls a node makes at once, and how many wait until they can.
type Lanes struct {
	running Lane // calls that are under way
	waiting Lane // calls that may wait until there are fewer
	wait    time.Duration
	busy    error

	mu     sync.Mutex
	claims map[uint32]*Claim // by what they are on
}

// A Claim is of the one call that changes something now, and of those that wait to.
type Claim struct {
	lanes *Lanes
	on    uint32
	lane  Lane
	calls int // guarded by lanes.mu
}

// NewLanes returns lanes for so many calls at once, for each of which so many may wait. Whoever
// waits longer, or comes after them, gets busy.
func NewLanes(running, waiting int, wait time.Duration, busy error) *Lanes {
	return &Lanes{running: make(Lane, running), waiting: make(Lane, running*waiting), wait: wait, busy: busy, claims: make(map[uint32]*Claim)}
}

// Run returns the lane of calls when there is a place in it, taken for the caller.
func (l *Lanes) Run(ctx context.Context) (Lane, error) { return l.running, l.enter(ctx, l.running) }

// Exclusive is for those who change what the hash is of: within a process, they wait here for each
// other instead of trying again and again at the server. Nobody else waits: of those who share one of
// a few lanes by chance, each would wait for a whole call of the others.
func (l *Lanes) Exclusive(ctx context.Context, hash uint32) (*Claim, error) {
	l.mu.Lock()
	c := l.claims[hash]
	if c == nil {
		c = &Claim{lanes: l, on: hash, lane: make(Lane, 1)}
		l.claims[hash] = c
	}
	c.calls++
	l.mu.Unlock()
	if err := l.enter(ctx, c.lane); err != nil {
		c.drop()
		return nil, err
	}
	return c, nil
}

// Leave lets the next call change it.
func (c *Claim) Leave() {
	c.lane.Leave()
	c.drop()
}

// drop forgets the claim with the last call.
func (c *Claim) drop() {
	c.lanes.mu.Lock()
	defer c.lanes.mu.Unlock()
	if c.calls--; c.calls == 0 {
		delete(c.lanes.claims, c.on)
	}
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

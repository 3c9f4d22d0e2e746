package calls

import (
	"context"
	"sync"
	"time"
)

// A Lane admits as many calls as it has places.
type Lane chan struct{}

// Leave frees the place.
func (l Lane) Leave() { <-l }

func (l Lane) try() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

// Lanes limit how many calls a node makes concurrently, and how many wait for that.
type Lanes struct {
	running  Lane // calls under way
	waiting  Lane // calls that wait to run
	queued   Lane // calls that wait for a claim: they take no place from those that wait to run
	perClaim int  // calls that may wait for one claim
	wait     time.Duration
	busy     error

	mu     sync.Mutex
	claims map[uint32]*Claim // by hash
}

// A Claim is held by the one call that changes something, while others wait for it.
type Claim struct {
	lanes *Lanes
	on    uint32
	lane  Lane
	calls int // guarded by lanes.mu
}

// maxQueued limits how many calls may wait for one claim, which a single user may have.
const maxQueued = 64

// NewLanes returns lanes for running concurrent calls, with waiting more for each, and as many that
// wait for a claim: maxQueued of them, or half, for the same one. A call that waits longer than
// wait, or finds no space to wait, gets busy.
func NewLanes(running, waiting int, wait time.Duration, busy error) *Lanes {
	all := running * waiting
	return &Lanes{
		running: make(Lane, running), waiting: make(Lane, all), queued: make(Lane, all), perClaim: min(maxQueued, (all+1)/2),
		wait: wait, busy: busy, claims: make(map[uint32]*Claim),
	}
}

// Run waits for a place among the running calls and takes it.
func (l *Lanes) Run(ctx context.Context) (Lane, error) {
	return l.running, l.enter(ctx, l.running, l.waiting)
}

// Exclusive serializes calls that change what the hash identifies: within a process they wait here,
// instead of conflicting again and again at the server. Calls with other hashes do not wait, as
// they would if a few lanes were shared.
func (l *Lanes) Exclusive(ctx context.Context, hash uint32) (*Claim, error) {
	l.mu.Lock()
	c := l.claims[hash]
	if c == nil {
		c = &Claim{lanes: l, on: hash, lane: make(Lane, 1)}
		l.claims[hash] = c
	}
	full := c.calls > l.perClaim
	if !full {
		c.calls++
	}
	l.mu.Unlock()
	if full {
		return nil, l.busy
	}
	if err := l.enter(ctx, c.lane, l.queued); err != nil {
		c.drop()
		return nil, err
	}
	return c, nil
}

// Leave lets the next call proceed.
func (c *Claim) Leave() {
	c.lane.Leave()
	c.drop()
}

// drop removes the claim when the last call leaves.
func (c *Claim) drop() {
	c.lanes.mu.Lock()
	defer c.lanes.mu.Unlock()
	if c.calls--; c.calls == 0 {
		delete(c.lanes.claims, c.on)
	}
}

// enter takes a place in a lane, and one of places while it waits for that.
func (l *Lanes) enter(ctx context.Context, to, places Lane) error {
	if to.try() {
		return nil
	}
	if !places.try() {
		return l.busy
	}
	defer places.Leave()
	ctx, cancel := context.WithTimeoutCause(ctx, l.wait, l.busy)
	defer cancel()
	select {
	case to <- struct{}{}:
		return nil
	case <-ctx.Done():
		return Unavailable(context.Cause(ctx))
	}
}

// Bounded returns a context that ends at the deadline of ctx or after timeout, whichever is first,
// but not when ctx is cancelled: what has been sent cannot be taken back.
func Bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	if deadline, ok := ctx.Deadline(); ok {
		bounded, cancelToo := context.WithDeadline(bounded, deadline)
		return bounded, func() { cancelToo(); cancel() }
	}
	return bounded, cancel
}

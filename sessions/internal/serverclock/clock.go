package serverclock

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Clock is what this node knows of a server's clock: how far that is from its own, whose
// time only measures how much passes between two answers. It is safe for concurrent use.
//
// When an answer says what the server's clock said, that was after the question and before
// the answer: two bounds of how far the clocks are apart, which the next answers make
// narrower. The estimate is the middle of them.
type Clock struct {
	fixed   func() time.Time // goes before all of this, if it is not nil
	local   func() time.Time
	started time.Time

	mu        sync.Mutex
	known     bool
	low, high time.Duration // the server's clock, since 1970, when local stood at started
	learned   time.Duration // when the bounds were so

	offset atomic.Int64 // ns: the middle
	last   atomic.Int64 // ms: what Now returned last
}

const (
	// drift is by how much one clock is faster than another, at the most: one part of it.
	drift = 2000
	// setBack is how far the server's clock is set back if it is not the estimate that
	// got better.
	setBack = time.Second
)

// New returns a clock that says what local does, until it learns better. local is
// time.Now, or as good: two of its times are compared by a clock that nobody sets. Where
// fixed is not nil, the clock says what that does, and so does the server: it is for tests.
func New(local, fixed func() time.Time) *Clock {
	c := &Clock{local: local, fixed: fixed, started: local()}
	c.offset.Store(int64(sinceEpoch(c.started)))
	return c
}

func sinceEpoch(t time.Time) time.Duration {
	return time.Duration(t.Unix())*time.Second + time.Duration(t.Nanosecond())
}

// Passed is how long the clock runs.
func (c *Clock) Passed() time.Duration { return c.local().Sub(c.started) }

// Learn takes what the server's clock said, in Unix milliseconds, in an answer that just
// came. asked is Passed before the question.
func (c *Clock) Learn(asked time.Duration, server int64) {
	if c.fixed != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Passed()
	said := time.Duration(server) * time.Millisecond
	low, high := said-now, said+time.Millisecond-asked
	if c.known {
		loose := (now - c.learned) / drift
		tighter, tightest := max(low, c.low-loose), min(high, c.high+loose)
		if tighter <= tightest { // else a clock was set, or ours stood still
			low, high = tighter, tightest
		}
	}
	c.known, c.low, c.high, c.learned = true, low, high, now
	c.offset.Store(int64(low + (high-low)/2))
}

// Now is the server's clock, in whole milliseconds. It does not go back while the estimate
// gets better, but where the server's does.
func (c *Clock) Now() time.Time {
	if now := c.Fixed(); now != nil {
		return time.UnixMilli(*now).UTC()
	}
	now := (time.Duration(c.offset.Load()) + c.Passed()).Milliseconds()
	for {
		last := c.last.Load()
		if now <= last && last-now < setBack.Milliseconds() {
			return time.UnixMilli(last).UTC()
		}
		if c.last.CompareAndSwap(last, now) {
			return time.UnixMilli(now).UTC()
		}
	}
}

// Fixed returns the time that the server is to go by, in Unix milliseconds; nil is its own.
func (c *Clock) Fixed() *int64 {
	if c.fixed == nil {
		return nil
	}
	ms := c.fixed().UnixMilli()
	return &ms
}

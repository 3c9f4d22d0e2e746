package serverclock

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Clock estimates a server's clock. The local clock only measures the time between two responses.
// It is safe for concurrent use.
//
// The server's time in a response was read after the request was sent and before the response
// arrived. That gives two bounds on the difference between the clocks, which later responses
// narrow. The estimate is their midpoint.
type Clock struct {
	fixed   func() time.Time // overrides everything else if it is not nil
	local   func() time.Time
	started time.Time

	mu        sync.Mutex
	known     bool
	low, high time.Duration // bounds on the server's clock, since 1970, at started
	learned   time.Duration // when the bounds were learned

	offset atomic.Int64 // ns: the midpoint
	last   atomic.Int64 // ms: the last result of Now
}

const (
	// One clock is faster than another by at most one part in drift.
	drift = 2000
	// A step back of setBack or more means that the server's clock was set back, and not that the
	// estimate improved.
	setBack = time.Second
)

// New returns a clock that follows local until it learns the server's time. local is time.Now or
// similar: differences between its times must be monotonic. If fixed is not nil, the clock returns
// its time, and the server uses it too: it is for tests.
func New(local, fixed func() time.Time) *Clock {
	c := &Clock{local: local, fixed: fixed, started: local()}
	c.offset.Store(int64(sinceEpoch(c.started)))
	return c
}

func sinceEpoch(t time.Time) time.Duration {
	return time.Duration(t.Unix())*time.Second + time.Duration(t.Nanosecond())
}

// Passed returns how long the clock has been running.
func (c *Clock) Passed() time.Duration { return c.local().Sub(c.started) }

// Learn processes the server's time, in Unix milliseconds, from a response that has just arrived.
// asked is Passed before the request.
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
		if tighter <= tightest { // otherwise a clock was set, or ours stood still
			low, high = tighter, tightest
		}
	}
	c.known, c.low, c.high, c.learned = true, low, high, now
	c.offset.Store(int64(low + (high-low)/2))
}

// Now returns the estimated time of the server, in whole milliseconds. It goes back only if the
// server's clock does, not when the estimate improves.
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

// Fixed returns the time that the server must use, in Unix milliseconds; nil means its own.
func (c *Clock) Fixed() *int64 {
	if c.fixed == nil {
		return nil
	}
	ms := c.fixed().UnixMilli()
	return &ms
}

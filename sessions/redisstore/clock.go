package redisstore

import (
	"sync/atomic"
	"time"
)

// A serverClock is what this node knows of the server's clock: how far it is from its
// own, from the answers that it got.
type serverClock struct {
	local   func() time.Time
	started time.Time // local; what passed since is measured by the monotonic clock

	offset atomic.Int64 // server's clock when local stood at started, Unix milliseconds
	last   atomic.Int64 // what now gave
}

func (c *serverClock) start(local func() time.Time) {
	c.local, c.started = local, local()
	c.offset.Store(c.started.UnixMilli())
}

// passed is how long the clock runs.
func (c *serverClock) passed() time.Duration { return c.local().Sub(c.started) }

// learn takes the time of an answer that just came.
func (c *serverClock) learn(server int64) {
	c.offset.Store(server - c.passed().Milliseconds())
}

// now is the server's time, by which the last answer was; it never goes back.
func (c *serverClock) now() time.Time {
	now := c.offset.Load() + c.passed().Milliseconds()
	for {
		last := c.last.Load()
		if now <= last {
			return fromMillis(last)
		}
		if c.last.CompareAndSwap(last, now) {
			return fromMillis(now)
		}
	}
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

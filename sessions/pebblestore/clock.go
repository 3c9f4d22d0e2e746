package pebblestore

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
)

// A clock is that of a store. It goes by the machine's, and never runs back,
// whatever that does:
//
//	the machine's clock                    the store's
//	goes on                                goes with it
//	is set back                            goes on at half the pace until that reaches it
//	is set forward by up to maxCatchUp     goes on at twice the pace until it has caught up
//	is set forward further                 is set forward with it
//
// A small step forward is not followed at once, since the grace period of what was
// rotated just before it would be over: a refresh token that is repeated after a lost
// answer would be taken for a stolen one.
//
// The clock also orders what begins and what is cut off (revocation.Store). How far it
// and that order are is written with each commit: it begins there when the store is opened
// again.
type clock struct {
	wall    func() time.Time
	elapsed func(time.Time) time.Duration // since some moment, where possible by a clock that nobody sets
	log     *slog.Logger

	recent atomic.Pointer[reading]

	mu     sync.Mutex
	at     time.Duration // what elapsed said when the clock was read last
	now    time.Duration // what the clock said then: since 1970
	behind bool          // the machine's clock is, and the log says so
	began  int64         // the place of the newest session, and of the newest cutoff, in ms
	cut    int64
}

// A reading is what the clock says in a millisecond.
type reading struct{ elapsed, now int64 }

const (
	maxCatchUp = time.Minute
	// setBack is how far the machine's clock is behind before the log says so.
	setBack = time.Second
)

func newClock(wall func() time.Time, log *slog.Logger) *clock {
	start := wall()
	return &clock{
		wall: wall, log: log, now: sinceEpoch(start),
		elapsed: func(t time.Time) time.Duration { return t.Sub(start) }, // monotonic if wall is time.Now
	}
}

func sinceEpoch(t time.Time) time.Duration {
	return time.Duration(t.Unix())*time.Second + time.Duration(t.Nanosecond())
}

// read returns the time in ms.
func (c *clock) read() int64 {
	elapsed := c.elapsed(c.wall()).Milliseconds()
	if r := c.recent.Load(); r != nil && r.elapsed == elapsed {
		return r.now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.step()
}

// step reads the machine's clock, and goes on.
func (c *clock) step() int64 {
	wall := c.wall()
	elapsed := c.elapsed(wall)
	passed := max(0, elapsed-c.at)
	ahead := c.now + passed - sinceEpoch(wall)
	switch {
	case ahead > 0:
		passed -= min(ahead, passed/2)
	case -ahead <= maxCatchUp:
		passed += min(-ahead, passed)
	default:
		passed -= ahead
	}
	c.at, c.now = elapsed, c.now+passed
	c.logSetBack(ahead)
	r := reading{elapsed.Milliseconds(), c.now.Milliseconds()}
	if last := c.recent.Load(); last == nil || *last != r {
		c.recent.Store(&r)
	}
	return r.now
}

// logSetBack logs when the machine's clock was set back, and when that is over.
func (c *clock) logSetBack(ahead time.Duration) {
	switch {
	case ahead > setBack && !c.behind:
		c.behind = true
		c.log.Warn("the clock of this machine was set back; the time of the session store never runs back, and goes on at half the pace until it is reached",
			"behind", ahead.Round(time.Millisecond).String())
	case ahead <= 0 && c.behind:
		c.behind = false
		c.log.Info("the clock of this machine has reached the time of the session store")
	}
}

// begin sets the times of a session, whose place is after all cutoffs.
func (c *clock) begin(row *sessions.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.step()
	place := max(now, c.cut+1)
	c.began = max(c.began, place)
	row.Begin(fromMillis(now), fromMillis(place))
}

// cutoff is the place of a cutoff: no sooner than all that began.
func (c *clock) cutoff() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = max(c.cut, c.began, c.step())
	return fromMillis(c.cut)
}

// copied takes the place of a session or a cutoff from elsewhere.
func (c *clock) copied(place time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.cut = max(c.began, place.UnixMilli()), max(c.cut, place.UnixMilli())
}

// store adds to a batch how far the clock and the order are.
func (c *clock) store(b *pebble.Batch) error {
	var buf [2 * timeSize]byte
	c.mu.Lock()
	now, place := c.step(), max(c.began, c.cut)
	c.mu.Unlock()
	value := appendTime(appendTime(buf[:0], fromMillis(now)), fromMillis(place))
	return b.Set([]byte{kindClock}, value, nil)
}

// load goes on from where the clock and the order were stored. A store of an earlier
// release, and a new one, has nothing of it.
func (c *clock) load(e *engine) error {
	value, closer, err := e.read([]byte{kindClock})
	if err != nil {
		if errors.Is(err, sessions.ErrNotFound) {
			err = nil
		}
		return err
	}
	defer func() { _ = closer.Close() }()
	if len(value) != 2*timeSize {
		return ErrCorrupt
	}
	now, place := storedTime(value), storedTime(value[timeSize:]).UnixMilli()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = max(c.now, sinceEpoch(now))
	c.began, c.cut = max(c.began, place), max(c.cut, place)
	return nil
}

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

// A clock is the clock of a store. It follows the machine's clock, but never goes backward:
//
//	the machine's clock                    the store's clock
//	runs                                   follows it
//	is set back                            runs at half speed until the two agree
//	is set forward by up to maxCatchUp     runs at double speed until the two agree
//	is set forward further                 is set forward with it
//
// A small step forward is not followed at once, since it would end the grace period of recent
// rotations: a refresh token that is repeated after a lost response would count as reuse.
//
// The clock also orders sessions and cutoffs (revocation.Store). Its time and the last position in
// that order are stored with each commit, and loaded when the store is opened again.
type clock struct {
	wall    func() time.Time
	elapsed func(time.Time) time.Duration // since some moment, monotonic if possible
	log     *slog.Logger

	recent atomic.Pointer[reading]

	mu     sync.Mutex
	at     time.Duration // elapsed at the last reading
	now    time.Duration // the clock's time at the last reading, since 1970
	behind bool          // the machine's clock is behind, and that was logged
	began  int64         // position of the newest session, and of the newest cutoff, in ms
	cut    int64
}

// A reading is the clock's time in one millisecond.
type reading struct{ elapsed, now int64 }

const (
	maxCatchUp = time.Minute
	// setBack is how far the machine's clock may be behind before that is logged.
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

// step reads the machine's clock and advances.
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

// logSetBack logs when the machine's clock was set back, and when it has caught up.
func (c *clock) logSetBack(ahead time.Duration) {
	switch {
	case ahead > setBack && !c.behind:
		c.behind = true
		c.log.Warn("the clock of this machine was set back; the time of the session store never goes back, and advances at half speed until the clock has caught up",
			"behind", ahead.Round(time.Millisecond).String())
	case ahead <= 0 && c.behind:
		c.behind = false
		c.log.Info("the clock of this machine has reached the time of the session store")
	}
}

// begin sets the times of a session, with a position after all cutoffs.
func (c *clock) begin(row *sessions.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.step()
	place := max(now, c.cut+1)
	c.began = max(c.began, place)
	row.Begin(fromMillis(now), fromMillis(place))
}

// cutoff returns the position of a cutoff: not before any session that has begun.
func (c *clock) cutoff() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = max(c.cut, c.began, c.step())
	return fromMillis(c.cut)
}

// recordCopied records the position of a session or a cutoff that was copied from another store.
func (c *clock) recordCopied(place time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.cut = max(c.began, place.UnixMilli()), max(c.cut, place.UnixMilli())
}

// store adds the state of the clock to a batch.
func (c *clock) store(b *pebble.Batch) error {
	var buf [2 * timeSize]byte
	c.mu.Lock()
	now, place := c.step(), max(c.began, c.cut)
	c.mu.Unlock()
	value := appendTime(appendTime(buf[:0], fromMillis(now)), fromMillis(place))
	return b.Set([]byte{kindClock}, value, nil)
}

// load restores the state of the clock. A new store, or one of an earlier release, has none.
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

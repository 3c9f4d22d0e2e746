package serverclock

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A world has a server, whose clock is off that of the node, and a way between them.
type world struct {
	t      *testing.T
	passed time.Duration
	off    time.Duration
	clock  *Clock
}

var begin = time.Date(2026, 5, 6, 7, 8, 9, 123e6, time.UTC)

func newWorld(t *testing.T, off time.Duration) *world {
	t.Helper()
	w := &world{t: t, off: off}
	w.clock = New(func() time.Time { return begin.Add(w.passed) }, nil)
	return w
}

func (w *world) server() time.Time { return begin.Add(w.passed + w.off) }

// ask asks the server over a way that takes so long there and back.
func (w *world) ask(there, back time.Duration) {
	asked := w.clock.Passed()
	w.passed += there
	said := w.server().UnixMilli()
	w.passed += back
	w.clock.Learn(asked, said)
}

func (w *world) wantWithin(limit time.Duration) {
	w.t.Helper()
	if apart := w.clock.Now().Sub(w.server()); apart.Abs() > limit {
		w.t.Errorf("after %v the clock is %v from the server's, more than %v", w.passed, apart, limit)
	}
}

func TestTheClockIsTheServersWhateverThatOfTheNodeSays(t *testing.T) {
	for _, off := range []time.Duration{0, 2500 * time.Millisecond, -2500 * time.Millisecond, time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		w := newWorld(t, off)
		w.ask(20*time.Millisecond, 20*time.Millisecond)
		w.wantWithin(2 * time.Millisecond)
		w.passed += time.Minute
		w.wantWithin(2 * time.Millisecond)
	}
}

// A way that is slow in one direction is wrong by half of it: until there is a faster one.
func TestASlowAnswerDoesNotSpoilWhatAFastOneSaid(t *testing.T) {
	w := newWorld(t, time.Hour)
	w.ask(0, 2*time.Second)
	w.wantWithin(time.Second + time.Millisecond)
	w.ask(time.Millisecond, time.Millisecond)
	w.wantWithin(2 * time.Millisecond)
	for range 1000 {
		there, back := time.Duration(rand.Int64N(int64(time.Second))), time.Duration(rand.Int64N(int64(time.Second)))
		w.ask(there, back)
		w.wantWithin(2*time.Millisecond + w.passed/drift)
	}
}

// TestTheEstimateIsFollowed has clocks that are not equally fast.
func TestTheEstimateIsFollowed(t *testing.T) {
	for _, gain := range []time.Duration{time.Second / (2 * drift), -time.Second / (2 * drift)} {
		w := newWorld(t, 0)
		for range 10_000 {
			w.passed += time.Second
			w.off += gain
			w.ask(time.Millisecond, time.Millisecond)
			w.wantWithin(3 * time.Millisecond)
		}
	}
}

func TestAClockThatWasSetIsFollowedAtOnce(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, -40 * time.Second, 40 * time.Second, time.Hour} {
		w := newWorld(t, 0)
		w.ask(time.Millisecond, time.Millisecond)
		w.wantWithin(2 * time.Millisecond)
		w.off += step
		w.ask(time.Millisecond, time.Millisecond)
		w.wantWithin(2 * time.Millisecond)
	}
}

func TestTheClockDoesNotGoBackWhileTheEstimateGetsBetter(t *testing.T) {
	w := newWorld(t, 0)
	last := w.clock.Now()
	for range 10_000 {
		w.ask(time.Duration(rand.Int64N(int64(500*time.Millisecond))), time.Duration(rand.Int64N(int64(500*time.Millisecond))))
		now := w.clock.Now()
		if now.Before(last) {
			t.Fatalf("the clock went back by %v", last.Sub(now))
		}
		last = now
	}
}

package calls

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions"
)

func TestAGateThatIsClosedWaitsForThoseInside(t *testing.T) {
	var gate Gate
	if err := gate.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	closing := make(chan error, 1)
	go func() { closing <- gate.Close(func() error { return nil }) }()
	for { // until it closes, it lets others in
		err := gate.Enter(t.Context())
		if errors.Is(err, sessions.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		gate.Leave()
		runtime.Gosched()
	}
	select {
	case <-closing:
		t.Error("it is closed while somebody is inside")
	default:
	}
	gate.Leave()
	if err := <-closing; err != nil {
		t.Error(err)
	}
	if err := gate.Close(func() error { t.Error("closed twice"); return nil }); err != nil {
		t.Error(err)
	}
	if err := gate.Enter(t.Context()); !errors.Is(err, sessions.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestACallerWhoGaveUpDoesNotEnter(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(Gate).Enter(ctx); !errors.Is(err, sessions.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("entered: %v", err)
	}
}

var errBusy = errors.New("busy")

func TestOfThoseWhoWaitSomeAreRefusedAtOnceAndNoneWaitsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lanes := NewLanes(1, 2, time.Second, errBusy)
		running, err := lanes.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		waited := make(chan time.Duration, 4)
		for range 4 {
			go func() {
				if _, err := lanes.Run(t.Context()); !errors.Is(err, errBusy) {
					t.Errorf("it ran: %v", err)
				}
				waited <- time.Since(begin)
			}()
		}
		for _, want := range []time.Duration{0, 0, time.Second, time.Second} {
			if got := <-waited; got != want {
				t.Errorf("waited %v, not %v", got, want)
			}
		}
		running.Leave()
		if _, err := lanes.Run(t.Context()); err != nil {
			t.Errorf("when there is a place: %v", err)
		}
	})
}

func TestChangesOfOneRowWaitForEachOther(t *testing.T) {
	lanes := NewLanes(8, 1, time.Hour, errBusy)
	lane, err := lanes.Exclusive(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	other, err := lanes.Exclusive(t.Context(), 8)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Leave()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lanes.Exclusive(ctx, 7); !errors.Is(err, context.Canceled) || !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("two changes at once: %v", err)
	}
	lane.Leave()
	if _, err := lanes.Exclusive(t.Context(), 7); err != nil {
		t.Error(err)
	}
}

// With a lane for each of a few hashes, one in four of 128 calls would wait for another.
func TestChangesOfDifferentRowsDoNotWaitForEachOther(t *testing.T) {
	lanes := NewLanes(1, 0, time.Hour, errBusy)
	claims := make(map[uint32]*Claim)
	for i := range uint32(10_000) {
		claim, err := lanes.Exclusive(t.Context(), i<<8)
		if err != nil {
			t.Fatalf("after %d others: %v", i, err)
		}
		claims[i] = claim
	}
	if _, err := lanes.Exclusive(t.Context(), 0); !errors.Is(err, errBusy) {
		t.Errorf("two changes at once: %v", err)
	}
	for _, claim := range claims {
		claim.Leave()
	}
	if n := len(lanes.claims); n > 0 {
		t.Errorf("%d claims of nobody are kept", n)
	}
}

// One user who sends many slow changes at once takes no place of those who wait to run, and not all of
// those who wait for a change of their own.
func TestOneUserDoesNotTakeThePlacesOfOthersWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lanes := NewLanes(2, 4, time.Hour, errBusy)
		const alice, bob = 1, 2
		changes := []*Claim{exclusive(t, lanes, alice), exclusive(t, lanes, bob)}
		running := make([]Lane, 2)
		for i := range running {
			lane, err := lanes.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			running[i] = lane
		}
		refused := make(chan error, 100)
		for range 100 {
			go func() {
				claim, err := lanes.Exclusive(t.Context(), alice)
				if refused <- err; err == nil {
					claim.Leave()
				}
			}()
		}
		synctest.Wait()
		if n := len(refused); n != 96 {
			t.Errorf("%d of 100 are refused", n)
		}
		others := make(chan error, 12)
		for range 4 {
			go func() {
				claim, err := lanes.Exclusive(t.Context(), bob)
				if others <- err; err == nil {
					claim.Leave()
				}
			}()
		}
		for range 8 {
			go func() {
				lane, err := lanes.Run(t.Context())
				if others <- err; err == nil {
					lane.Leave()
				}
			}()
		}
		synctest.Wait()
		if n := len(others); n != 0 {
			t.Errorf("%d of 12 others do not wait: %v", n, <-others)
		}
		for _, claim := range changes {
			claim.Leave()
		}
		for _, lane := range running {
			lane.Leave()
		}
		for range 12 {
			if err := <-others; err != nil {
				t.Error(err)
			}
		}
	})
}

func exclusive(t *testing.T, lanes *Lanes, hash uint32) *Claim {
	t.Helper()
	claim, err := lanes.Exclusive(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func TestACallThatIsSentOutlivesItsCallerAndNotItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ deadline, timeout, want time.Duration }{
			{time.Hour, time.Second, time.Second}, {time.Second, time.Hour, time.Second}, {0, time.Minute, time.Minute},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			if c.deadline > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), c.deadline)
			}
			bounded, end := Bounded(ctx, c.timeout)
			begin := time.Now()
			cancel()
			<-bounded.Done()
			if got := time.Since(begin); got != c.want || !errors.Is(bounded.Err(), context.DeadlineExceeded) {
				t.Errorf("it ends after %v, not %v: %v", got, c.want, bounded.Err())
			}
			end()
		}
	})
}

func TestErrorsReadAsUnknownOutcomes(t *testing.T) {
	cause := errors.New("cause")
	if err := Unavailable(cause); !errors.Is(err, sessions.ErrUnavailable) || !errors.Is(err, cause) {
		t.Error(err)
	}
	if err := Unavailable(sessions.ErrClosed); err != sessions.ErrClosed { //nolint:errorlint // it is that very one
		t.Error(err)
	}
	if Unavailable(nil) != nil {
		t.Error("nothing is an error")
	}
	for setup, err := range map[bool]error{true: Refusal(cause, true), false: Refusal(cause, false)} {
		if errors.Is(err, sessions.ErrSetup) != setup || !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("%t: %v", setup, err)
		}
	}
}

package streams_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/streams"
)

// A counting store counts who asks, and can be down.
type counting struct {
	storetest.Memory
	asked atomic.Int64
	down  atomic.Bool
}

func (c *counting) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	c.asked.Add(1)
	if c.down.Load() {
		return sessions.Session{}, sessions.ErrUnavailable
	}
	return c.Memory.Get(ctx, key)
}

// Revoked makes it a store that is nobody else's: its watcher is never degraded.
func (*counting) Revoked(context.Context, time.Time, func(sessions.Key, time.Time)) error { return nil }

// A harness is a registry that runs.
type harness struct {
	*streams.Registry
	t     *testing.T
	store *counting
	stop  func()
}

func start(t *testing.T) *harness {
	t.Helper()
	store := new(counting)
	h := &harness{t: t, store: store, Registry: &streams.Registry{Store: store, Watch: &revocation.Watcher{Store: store}}}
	if err := h.Watch.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	h.stop = func() { cancel(); <-done }
	t.Cleanup(h.stop)
	synctest.Wait()
	return h
}

// session stores one that lives a day, idle for at most two hours.
func (h *harness) session(id string, impersonation bool) *sessions.Ref {
	h.t.Helper()
	now := h.store.Now()
	row := sessions.Session{
		Realm: "r", ID: id, UserID: "alice", ClientID: "c", KeyID: "k", Impersonation: impersonation,
		Actor:     sessions.Principal{Issuer: "i", Subject: "desk"},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: 2 * time.Hour,
	}
	if _, _, _, err := h.store.Create(h.t.Context(), row); err != nil {
		h.t.Fatal(err)
	}
	f := row.Ref()
	return &f
}

// refresh is what moves the idle end of a session.
func (h *harness) refresh(f *sessions.Ref) {
	h.t.Helper()
	_, err := h.store.Update(h.t.Context(), f.Key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		row.RotatedAt = now
		return row, true
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// A flag counts how often a stream was ended.
type flag struct {
	atomic.Int64
	release func()
}

func (h *harness) hold(f *sessions.Ref) *flag {
	ended := new(flag)
	ended.release = h.Hold(f, h.store.Now().Add(10*time.Minute), func() { ended.Add(1) })
	return ended
}

// pass lets time pass, in the bubble of the test.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // testing/synctest passes it
}

// expect compares, a moment (of the test's own clock) after whatever happened.
func (h *harness) expect(when string, f *flag, want int64) {
	h.t.Helper()
	pass(200 * time.Millisecond)
	if got := f.Load(); got != want {
		h.t.Errorf("%s: ended %d times, want %d", when, got, want)
	}
}

func TestStream_EndsWhenItsSessionIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		one, other := h.session("one", true), h.session("other", true)
		first, second, third := h.hold(one), h.hold(one), h.hold(other)
		released := h.hold(one)
		released.release()
		h.Watch.Deny.Add(one.Key, h.store.Now())
		h.expect("the first", first, 1)
		h.expect("the second of the same session", second, 1)
		h.expect("another session's", third, 0)
		h.expect("one that was over", released, 0)
		if h.Len() != 1 || h.store.asked.Load() != 0 {
			t.Errorf("%d are held, and the store was asked %d times", h.Len(), h.store.asked.Load())
		}
	})
}

func TestStream_EndsByACutoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		before := h.hold(h.session("before", true))
		own := h.hold(h.session("own", false))
		pass(time.Second)
		h.Watch.Deny.AddCutoff(revocation.Cutoff{ID: "c", Realm: "r", Filter: sessions.Filter{Impersonations: true}, At: h.store.Now()})
		pass(time.Second)
		h.expect("an impersonation from before", before, 1)
		h.expect("a session that is none", own, 0)
	})
}

func TestStream_EndsThatWasOpenedWhileItsSessionWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		f := h.session("one", true)
		h.Watch.Deny.Add(f.Key, h.store.Now())
		h.expect("too late", h.hold(f), 1)
	})
}

func TestStream_EndsWhenSomebodyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		f := h.session("one", true)
		held := h.hold(f)
		h.End(f.Key)
		h.End(f.Key)
		held.release()
		h.expect("ended twice", held, 1)
	})
}

func TestStream_GoesOnAsLongAsItsSessionIsRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		f := h.session("one", true)
		held := h.hold(f)
		pass(9 * time.Minute)
		if n := h.store.asked.Load(); n != 0 {
			t.Errorf("asked %d times while the access token lived", n)
		}
		pass(81 * time.Minute)
		h.refresh(f)
		pass(90 * time.Minute)
		h.expect("refreshed within the idle time", held, 0)
		if n := h.store.asked.Load(); n != 2 { // at the token's end, and at the first idle end
			t.Errorf("asked %d times", n)
		}
		pass(time.Hour)
		h.expect("idle for longer", held, 1)
	})
}

func TestStream_EndsAtTheAbsoluteEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		f := h.session("one", true)
		held := h.hold(f)
		for range 23 {
			pass(time.Hour)
			h.refresh(f)
		}
		h.expect("an hour before", held, 0)
		pass(time.Hour + 2*time.Second)
		h.expect("a day after", held, 1)
	})
}

func TestStream_WhoseSessionNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		swept := h.hold(&sessions.Ref{Key: sessions.Key{Realm: "r", ID: "swept"}, UserID: "alice"})
		pass(10*time.Minute + 2*time.Second)
		h.expect("after its access token", swept, 1)
	})
}

func TestStream_WhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		impersonated, own := h.hold(h.session("one", true)), h.hold(h.session("two", false))
		h.store.down.Store(true)
		pass(9 * time.Minute)
		h.expect("nobody has to ask", impersonated, 0)
		pass(2 * time.Minute)
		h.expect("of an impersonation it is unknown", impersonated, 1)
		h.expect("an own session is asked for again", own, 0)
		h.store.down.Store(false)
		pass(2 * time.Second)
		h.expect("and goes on", own, 0)
	})
}

// A mute store has a feed that never says a word: its watcher is degraded.
type mute struct{ counting }

func (*mute) Follow(ctx context.Context, _ revocation.Sink) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStream_WhileTheNodeIsDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(mute)
		r := &streams.Registry{Store: store, Watch: &revocation.Watcher{Store: store}}
		h := &harness{t: t, store: &store.counting, Registry: r}
		if err := r.Watch.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		defer func() { cancel(); <-done }()
		revoked, other, own := h.session("one", true), h.session("two", true), h.session("three", false)
		first, second, third := h.hold(revoked), h.hold(other), h.hold(own)
		_, err := store.Update(t.Context(), revoked.Key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
			row.RevokedAt = now
			return row, true
		})
		if err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		h.expect("revoked by another node", first, 1)
		h.expect("not revoked", second, 0)
		store.down.Store(true)
		pass(3 * time.Second)
		h.expect("of an impersonation it is unknown", second, 1)
		h.expect("an own session has a little time", third, 0)
		pass(revocation.DegradedGrace)
		h.expect("and no more", third, 1)
	})
}

func TestStream_EndsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		f := h.session("one", true)
		held := h.hold(f)
		h.stop()
		h.expect("the store closed", held, 1)
		h.expect("opened after it", h.hold(f), 1)
	})
}

// However many streams are open and however much is ended, all are looked at once a
// pause, not once an end.
func TestStream_ChangesAreTakenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t)
		var all []*flag
		var ref []*sessions.Ref
		for i := range 1000 {
			f := h.session(fmt.Sprint(i), i%2 == 0)
			ref, all = append(ref, f), append(all, h.hold(f))
		}
		begun := time.Now()
		for _, f := range ref {
			h.Watch.Deny.Add(f.Key, h.store.Now())
		}
		for h.Len() > 0 {
			pass(time.Millisecond)
		}
		if took := time.Since(begun); took > 300*time.Millisecond { // of the test's own clock
			t.Errorf("ended after %s", took)
		}
		for i, ended := range all {
			h.expect(fmt.Sprint("stream ", i), ended, 1)
		}
	})
}

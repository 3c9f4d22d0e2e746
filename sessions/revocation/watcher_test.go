package revocation_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// A shared store reports what was revoked, as long as its connection is up.
type shared struct {
	storetest.Memory
	asked atomic.Int64
	down  atomic.Bool
	sinks chan revocation.Sink
	cut   chan error
	log   []sessions.Key
}

func newShared() *shared {
	return &shared{sinks: make(chan revocation.Sink), cut: make(chan error)}
}

var errLine = errors.New("connection lost")

func (s *shared) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	s.asked.Add(1)
	if s.down.Load() {
		return sessions.Session{}, sessions.ErrUnavailable
	}
	return s.Memory.Get(ctx, key)
}

func (s *shared) Revoked(_ context.Context, _ time.Time, report func(sessions.Key, time.Time)) error {
	if s.down.Load() {
		return sessions.ErrUnavailable
	}
	for _, key := range s.log {
		report(key, s.Now())
	}
	return nil
}

func (s *shared) Follow(ctx context.Context, sink revocation.Sink) error {
	select {
	case s.sinks <- sink:
	case <-ctx.Done():
		return ctx.Err()
	}
	sink.Ready()
	heartbeat := time.NewTicker(revocation.Heartbeat)
	defer heartbeat.Stop()
	for {
		select {
		case <-heartbeat.C:
			sink.Alive()
		case err := <-s.cut:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var _ revocation.Feed = (*shared)(nil)

func ref(id, user string) *sessions.Ref {
	return &sessions.Ref{Key: sessions.Key{Realm: "r", ID: id}, UserID: user, CreatedAt: time.Now()}
}

func impersonation(id string) *sessions.Ref {
	f := ref(id, "alice")
	f.Impersonation, f.Actor = true, sessions.Principal{Issuer: "i", Subject: "desk"}
	return f
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // testing/synctest passes it
	synctest.Wait()
}

// expectRevoked checks what the watcher says of a session.
func expectRevoked(t *testing.T, w *revocation.Watcher, f *sessions.Ref, want bool, wantErr error) {
	t.Helper()
	revoked, err := w.Revoked(t.Context(), *f)
	if revoked != want || !errors.Is(err, wantErr) {
		t.Errorf("session %s: revoked %t, %v; want %t, %v", f.ID, revoked, err, want, wantErr)
	}
}

func put(t *testing.T, store sessions.Store, id string) {
	t.Helper()
	now := store.Now()
	row := sessions.Session{
		Realm: "r", ID: id, UserID: "alice", ClientID: "c", Actor: sessions.Principal{Issuer: "i", Subject: "alice"}, KeyID: "k",
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: 24 * time.Hour,
	}
	if _, _, _, err := store.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

// watched runs a watcher of the store until the test ends.
func watched(t *testing.T, s *shared) (*revocation.Watcher, revocation.Sink) {
	t.Helper()
	w := &revocation.Watcher{Store: s}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	sink := <-s.sinks
	synctest.Wait()
	return w, sink
}

func TestWatcher_HearsWhatOthersRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		s.log = []sessions.Key{{Realm: "r", ID: "before"}}
		w, sink := watched(t, s)
		expectRevoked(t, w, ref("before", "alice"), true, nil)
		expectRevoked(t, w, ref("a", "alice"), false, nil)
		sink.Revoked(sessions.Key{Realm: "r", ID: "a"}, s.Now())
		expectRevoked(t, w, ref("a", "alice"), true, nil)
		other := ref("a", "alice")
		other.Realm = "another"
		expectRevoked(t, w, other, false, nil)
		if s.asked.Load() != 0 {
			t.Errorf("the store was asked %d times", s.asked.Load())
		}
	})
}

func TestWatcher_IsDegradedUntilItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		put(t, s, "live")
		w := &revocation.Watcher{Store: s}
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			expectRevoked(t, w, ref("live", "alice"), false, nil)
		}
		expectRevoked(t, w, ref("unknown", "alice"), true, nil)
		if s.asked.Load() != 2 {
			t.Errorf("the store was asked %d times, want once for each session", s.asked.Load())
		}
	})
}

func TestWatcher_DegradedAsksTheStoreOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		put(t, s, "live")
		w, _ := watched(t, s)
		s.cut <- errLine
		synctest.Wait()
		if w.Degraded() == 0 {
			t.Fatal("a watcher without a feed is not degraded")
		}
		for range 5 {
			expectRevoked(t, w, ref("live", "alice"), false, nil)
		}
		// Another node revokes it: that is seen when the second is over.
		if _, err := s.Memory.Update(t.Context(), sessions.Key{Realm: "r", ID: "live"}, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
			row.RevokedAt, row.EndReason = now, sessions.EndRevoked
			return row, true
		}); err != nil {
			t.Fatal(err)
		}
		if s.asked.Load() != 1 {
			t.Errorf("the store was asked %d times within a second", s.asked.Load())
		}
		pass(revocation.FeedTimeout)
		expectRevoked(t, w, ref("live", "alice"), true, nil)
		<-s.sinks
		synctest.Wait()
		if w.Degraded() != 0 {
			t.Error("a watcher that hears again is degraded")
		}
	})
}

func TestWatcher_DegradedWithTheStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		w, _ := watched(t, s)
		s.down.Store(true)
		s.cut <- errLine
		synctest.Wait()
		expectRevoked(t, w, impersonation("imp"), false, sessions.ErrUnavailable)
		for range 20 {
			expectRevoked(t, w, ref("own", "alice"), false, nil)
			expectRevoked(t, w, ref("own 2", "alice"), false, nil)
		}
		if asked := s.asked.Load(); asked > 1 {
			t.Errorf("a store that is down was asked %d times in a second", asked)
		}
		pass(revocation.DegradedGrace - time.Millisecond)
		expectRevoked(t, w, ref("own", "alice"), false, nil)
		pass(time.Millisecond)
		expectRevoked(t, w, ref("own", "alice"), false, sessions.ErrUnavailable)
		<-s.sinks // the connection is back, but what was missed cannot be loaded
		pass(time.Minute)
		expectRevoked(t, w, ref("own", "alice"), false, sessions.ErrUnavailable)
		s.down.Store(false)
		pass(2 * revocation.Heartbeat)
		expectRevoked(t, w, ref("own", "alice"), false, nil)
	})
}

func TestWatcher_AFeedThatIsSilentIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		s := newShared()
		w, _ := watched(t, s)
		w.Clock = func() time.Time { return now.Add(revocation.FeedTimeout + time.Second) }
		if w.Degraded() == 0 {
			t.Error("a watcher that heard nothing for more than a second is not degraded")
		}
	})
}

func TestDenyList_CutoffsByWhatTheyName(t *testing.T) {
	desk := sessions.Principal{Issuer: "i", Subject: "desk"}
	at := time.UnixMilli(1_000_000).UTC()
	own := sessions.Ref{Key: sessions.Key{Realm: "r", ID: "1"}, UserID: "alice", CreatedAt: at}
	imp := own
	imp.Impersonation, imp.Actor = true, desk
	later := own
	later.CreatedAt = at.Add(time.Millisecond)
	elsewhere := own
	elsewhere.Realm = "other"
	for name, c := range map[string]struct {
		filter sessions.Filter
		ended  []*sessions.Ref
		lives  []*sessions.Ref
	}{
		"of a user":            {sessions.Filter{User: "alice"}, []*sessions.Ref{&own, &imp}, []*sessions.Ref{&later, &elsewhere}},
		"of another user":      {sessions.Filter{User: "bob"}, nil, []*sessions.Ref{&own, &imp}},
		"of an actor":          {sessions.Filter{Actor: &desk}, []*sessions.Ref{&imp}, []*sessions.Ref{&own}},
		"of a user's actor":    {sessions.Filter{User: "alice", Actor: &desk}, []*sessions.Ref{&imp}, []*sessions.Ref{&own}},
		"of all impersonators": {sessions.Filter{Impersonations: true}, []*sessions.Ref{&imp}, []*sessions.Ref{&own}},
	} {
		t.Run(name, func(t *testing.T) {
			var d revocation.DenyList
			cut := revocation.Cutoff{ID: "c", Realm: "r", Filter: c.filter, At: at}
			d.AddCutoff(cut)
			d.AddCutoff(cut) // again, as a feed may
			for _, f := range c.ended {
				if !d.Revoked(f) {
					t.Errorf("%+v is live", f)
				}
			}
			for _, f := range c.lives {
				if d.Revoked(f) {
					t.Errorf("%+v is revoked", f)
				}
			}
			newer := cut
			newer.ID, newer.At = "d", at.Add(time.Second)
			if replaced := d.AddCutoff(newer); len(replaced) != 1 || replaced[0].ID != "c" || d.Len() != 1 {
				t.Errorf("a later cutoff replaced %v, %d are left", replaced, d.Len())
			}
			d.RemoveCutoff(newer)
			if d.Len() != 0 || len(d.Cutoffs("r")) != 0 {
				t.Error("a cutoff is left")
			}
		})
	}
}

// Whoever sweeps hears of the cutoffs of their realm, once for several.
func TestWatcher_SaysWhenThereAreRowsToSweep(t *testing.T) {
	w := &revocation.Watcher{Store: &storetest.Memory{}}
	mine, others := w.Added("r"), w.Added("other")
	for range 3 {
		if err := w.AddCutoff(t.Context(), "r", sessions.Filter{User: "alice"}, sessions.Principal{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"r": 1, "other": 0} {
		if got := len(w.Added(name)); got != want {
			t.Errorf("realm %s: %d signals, want %d", name, got, want)
		}
	}
	if <-mine; len(mine)+len(others) != 0 {
		t.Error("a signal is left")
	}
}

func TestDenyList_ForgetsAndNotifies(t *testing.T) {
	var d revocation.DenyList
	changes, stop := d.Changes()
	defer stop()
	at := time.UnixMilli(1_000_000).UTC()
	f := ref("1", "alice")
	d.Add(f.Key, at)
	d.Add(ref("2", "alice").Key, at.Add(time.Second))
	select {
	case <-changes:
	default:
		t.Error("there was no notification")
	}
	d.Prune(at.Add(revocation.Retention))
	if !d.Revoked(f) || d.Len() != 2 {
		t.Error("it forgets too soon")
	}
	d.Prune(at.Add(revocation.Retention + time.Millisecond))
	if d.Revoked(f) || d.Len() != 1 {
		t.Error("it does not forget")
	}
}

func BenchmarkDenyList(b *testing.B) {
	var d revocation.DenyList
	for i := range 100_000 {
		d.Add(sessions.Key{Realm: "r", ID: string(rune('a'+i%26)) + time.Duration(i).String()}, time.Now())
	}
	d.AddCutoff(revocation.Cutoff{ID: "c", Realm: "r", Filter: sessions.Filter{User: "bob"}, At: time.Now()})
	f := ref("live", "alice")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d.Revoked(f) {
				b.Error("denied")
			}
		}
	})
}

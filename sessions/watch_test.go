package sessions_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

// A shared store tells what was ended, as long as its line is up.
type shared struct {
	storetest.Memory
	asked atomic.Int64
	down  atomic.Bool
	sinks chan sessions.FeedSink
	cut   chan error
	log   []sessions.Key
}

func newShared() *shared {
	return &shared{sinks: make(chan sessions.FeedSink), cut: make(chan error)}
}

var errLine = errors.New("line cut")

func (s *shared) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	s.asked.Add(1)
	if s.down.Load() {
		return sessions.Session{}, sessions.ErrUnavailable
	}
	return s.Memory.Get(ctx, key)
}

func (s *shared) Revoked(_ context.Context, _ time.Time, tell func(sessions.Key, time.Time)) error {
	if s.down.Load() {
		return sessions.ErrUnavailable
	}
	for _, key := range s.log {
		tell(key, s.Now())
	}
	return nil
}

func (s *shared) Follow(ctx context.Context, sink sessions.FeedSink) error {
	select {
	case s.sinks <- sink:
	case <-ctx.Done():
		return ctx.Err()
	}
	sink.Ready()
	heartbeat := time.NewTicker(sessions.FeedHeartbeat)
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

var _ sessions.RevocationFeed = (*shared)(nil)

func facts(id, user string) *sessions.Facts {
	return &sessions.Facts{Key: sessions.Key{Realm: "r", ID: id}, UserID: user, CreatedAt: time.Now()}
}

func impersonation(id string) *sessions.Facts {
	f := facts(id, "alice")
	f.Impersonation, f.Actor = true, sessions.Principal{Issuer: "i", Subject: "desk"}
	return f
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // testing/synctest passes it
	synctest.Wait()
}

// expectEnded checks what the watcher says of a session.
func expectEnded(t *testing.T, w *sessions.Watcher, f *sessions.Facts, want bool, wantErr error) {
	t.Helper()
	ended, err := w.Ended(t.Context(), f)
	if ended != want || !errors.Is(err, wantErr) {
		t.Errorf("session %s: ended %t, %v; want %t, %v", f.ID, ended, err, want, wantErr)
	}
}

func put(t *testing.T, store sessions.Store, id string) {
	t.Helper()
	now := store.Now()
	row := sessions.Session{
		Realm: "r", ID: id, UserID: "alice", ClientID: "c", Actor: sessions.Principal{Issuer: "i", Subject: "alice"}, KeyID: "k",
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: 24 * time.Hour,
	}
	if _, _, err := store.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

// watched runs a watcher of the store until the test ends.
func watched(t *testing.T, s *shared) (*sessions.Watcher, sessions.FeedSink) {
	t.Helper()
	w := &sessions.Watcher{Store: s}
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

func TestWatcher_HearsWhatOthersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		s.log = []sessions.Key{{Realm: "r", ID: "before"}}
		w, sink := watched(t, s)
		expectEnded(t, w, facts("before", "alice"), true, nil)
		expectEnded(t, w, facts("a", "alice"), false, nil)
		sink.Revoked(sessions.Key{Realm: "r", ID: "a"}, s.Now())
		expectEnded(t, w, facts("a", "alice"), true, nil)
		other := facts("a", "alice")
		other.Realm = "another"
		expectEnded(t, w, other, false, nil)
		if s.asked.Load() != 0 {
			t.Errorf("the store was asked %d times", s.asked.Load())
		}
	})
}

func TestWatcher_IsBlindUntilItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		put(t, s, "live")
		w := &sessions.Watcher{Store: s}
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			expectEnded(t, w, facts("live", "alice"), false, nil)
		}
		expectEnded(t, w, facts("unknown", "alice"), true, nil)
		if s.asked.Load() != 2 {
			t.Errorf("the store was asked %d times, want once for each session", s.asked.Load())
		}
	})
}

func TestWatcher_BlindAsksTheStoreOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		put(t, s, "live")
		w, _ := watched(t, s)
		s.cut <- errLine
		synctest.Wait()
		if w.Blind() == 0 {
			t.Fatal("a watcher without a feed sees")
		}
		for range 5 {
			expectEnded(t, w, facts("live", "alice"), false, nil)
		}
		// Another node ends it: that is seen when the second is over.
		if _, err := s.Memory.Update(t.Context(), sessions.Key{Realm: "r", ID: "live"}, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
			row.RevokedAt, row.EndReason = now, sessions.EndRevoked
			return row, true
		}); err != nil {
			t.Fatal(err)
		}
		if s.asked.Load() != 1 {
			t.Errorf("the store was asked %d times within a second", s.asked.Load())
		}
		pass(sessions.FeedSilence)
		expectEnded(t, w, facts("live", "alice"), true, nil)
		<-s.sinks
		synctest.Wait()
		if w.Blind() != 0 {
			t.Error("a watcher that hears again is blind")
		}
	})
}

func TestWatcher_BlindWithTheStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		w, _ := watched(t, s)
		s.down.Store(true)
		s.cut <- errLine
		synctest.Wait()
		expectEnded(t, w, impersonation("imp"), false, sessions.ErrUnavailable)
		for range 20 {
			expectEnded(t, w, facts("own", "alice"), false, nil)
			expectEnded(t, w, facts("own 2", "alice"), false, nil)
		}
		if asked := s.asked.Load(); asked > 1 {
			t.Errorf("a store that is down was asked %d times in a second", asked)
		}
		pass(sessions.BlindGrace - time.Millisecond)
		expectEnded(t, w, facts("own", "alice"), false, nil)
		pass(time.Millisecond)
		expectEnded(t, w, facts("own", "alice"), false, sessions.ErrUnavailable)
		<-s.sinks // the line is up, but what was missed cannot be loaded
		pass(time.Minute)
		expectEnded(t, w, facts("own", "alice"), false, sessions.ErrUnavailable)
		s.down.Store(false)
		pass(2 * sessions.FeedHeartbeat)
		expectEnded(t, w, facts("own", "alice"), false, nil)
	})
}

func TestWatcher_ALineThatIsSilentIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		s := newShared()
		w, _ := watched(t, s)
		w.Clock = func() time.Time { return now.Add(sessions.FeedSilence + time.Second) }
		if w.Blind() == 0 {
			t.Error("a watcher that heard nothing for more than a second is not blind")
		}
	})
}

func TestDenySet_CutoffsByWhatTheyName(t *testing.T) {
	desk := sessions.Principal{Issuer: "i", Subject: "desk"}
	at := time.UnixMilli(1_000_000).UTC()
	own := sessions.Facts{Key: sessions.Key{Realm: "r", ID: "1"}, UserID: "alice", CreatedAt: at}
	imp := own
	imp.Impersonation, imp.Actor = true, desk
	later := own
	later.CreatedAt = at.Add(time.Millisecond)
	elsewhere := own
	elsewhere.Realm = "other"
	for name, c := range map[string]struct {
		filter sessions.Filter
		ended  []*sessions.Facts
		lives  []*sessions.Facts
	}{
		"of a user":            {sessions.Filter{User: "alice"}, []*sessions.Facts{&own, &imp}, []*sessions.Facts{&later, &elsewhere}},
		"of another user":      {sessions.Filter{User: "bob"}, nil, []*sessions.Facts{&own, &imp}},
		"of an actor":          {sessions.Filter{Actor: &desk}, []*sessions.Facts{&imp}, []*sessions.Facts{&own}},
		"of a user's actor":    {sessions.Filter{User: "alice", Actor: &desk}, []*sessions.Facts{&imp}, []*sessions.Facts{&own}},
		"of all impersonators": {sessions.Filter{Impersonations: true}, []*sessions.Facts{&imp}, []*sessions.Facts{&own}},
	} {
		t.Run(name, func(t *testing.T) {
			var d sessions.DenySet
			cut := sessions.Cutoff{ID: "c", Realm: "r", Filter: c.filter, At: at}
			d.Cut(cut)
			d.Cut(cut) // again, as a feed may
			for _, f := range c.ended {
				if !d.Denied(f) {
					t.Errorf("%+v lives", f)
				}
			}
			for _, f := range c.lives {
				if d.Denied(f) {
					t.Errorf("%+v was ended", f)
				}
			}
			newer := cut
			newer.ID, newer.At = "d", at.Add(time.Second)
			if replaced := d.Cut(newer); len(replaced) != 1 || replaced[0].ID != "c" || d.Len() != 1 {
				t.Errorf("a later cutoff replaced %v, %d are left", replaced, d.Len())
			}
			d.Uncut(newer)
			if d.Len() != 0 || len(d.Cutoffs("r")) != 0 {
				t.Error("a cutoff is left")
			}
		})
	}
}

func TestDenySet_ForgetsAndTells(t *testing.T) {
	var d sessions.DenySet
	changes, stop := d.Changes()
	defer stop()
	at := time.UnixMilli(1_000_000).UTC()
	f := facts("1", "alice")
	d.Deny(f.Key, at)
	d.Deny(facts("2", "alice").Key, at.Add(time.Second))
	select {
	case <-changes:
	default:
		t.Error("nobody was told")
	}
	d.Prune(at.Add(sessions.RevocationMemory))
	if !d.Denied(f) || d.Len() != 2 {
		t.Error("it forgets too soon")
	}
	d.Prune(at.Add(sessions.RevocationMemory + time.Millisecond))
	if d.Denied(f) || d.Len() != 1 {
		t.Error("it does not forget")
	}
}

func BenchmarkDenied(b *testing.B) {
	var d sessions.DenySet
	for i := range 100_000 {
		d.Deny(sessions.Key{Realm: "r", ID: string(rune('a'+i%26)) + time.Duration(i).String()}, time.Now())
	}
	d.Cut(sessions.Cutoff{ID: "c", Realm: "r", Filter: sessions.Filter{User: "bob"}, At: time.Now()})
	f := facts("live", "alice")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d.Denied(f) {
				b.Error("denied")
			}
		}
	})
}

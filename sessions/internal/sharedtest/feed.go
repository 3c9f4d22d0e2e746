package sharedtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// Heard is what a feed has reported.
type Heard struct {
	Ready, Alive int
	Revoked      map[sessions.Key]time.Time
	Cutoffs      map[string]revocation.Cutoff // by id
}

// A Sink records what a feed reports.
type Sink struct {
	mu      sync.Mutex
	heard   Heard
	changed chan struct{} // closed at each change
}

// NewSink returns an empty sink.
func NewSink() *Sink {
	return &Sink{
		heard:   Heard{Revoked: make(map[sessions.Key]time.Time), Cutoffs: make(map[string]revocation.Cutoff)},
		changed: make(chan struct{}),
	}
}

func (s *Sink) change(f func(*Heard)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.heard)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Ready implements revocation.Sink.
func (s *Sink) Ready() { s.change(func(h *Heard) { h.Ready++ }) }

// Alive implements revocation.Sink.
func (s *Sink) Alive() { s.change(func(h *Heard) { h.Alive++ }) }

// Revoked implements revocation.Sink.
func (s *Sink) Revoked(key sessions.Key, at time.Time) {
	s.change(func(h *Heard) { h.Revoked[key] = at })
}

// Cutoff implements revocation.Sink.
func (s *Sink) Cutoff(c revocation.Cutoff) { s.change(func(h *Heard) { h.Cutoffs[c.ID] = c }) }

// Read calls look with what was reported.
func (s *Sink) Read(look func(*Heard)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look(&s.heard)
}

// Wait waits until so returns true.
func (s *Sink) Wait(t testing.TB, what string, so func(*Heard) bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		ok, changed := so(&s.heard), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s: not in 30 s", what)
		}
	}
}

// WaitRevoked waits until a revocation was reported.
func (s *Sink) WaitRevoked(t testing.TB, key sessions.Key) {
	t.Helper()
	s.Wait(t, fmt.Sprintf("%q is revoked", key), func(h *Heard) bool { return !h.Revoked[key].IsZero() })
}

// Follow follows a store until the test ends. It returns once the feed is ready, with the result of
// the store's Follow to come.
func Follow(t testing.TB, s revocation.Feed) (*Sink, <-chan error) {
	t.Helper()
	sink := NewSink()
	following, cancel := context.WithCancel(ctx())
	ended := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		ended <- s.Follow(following, sink)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	sink.Wait(t, "ready", func(h *Heard) bool { return h.Ready == 1 })
	return sink, ended
}

// WantHeard revokes sessions on one node in every way, and expects that the sink of another hears
// of each.
func WantHeard(t testing.TB, s Store, sink *Sink) {
	t.Helper()
	now := s.Now()
	for _, realm := range []string{"r", "", "r\x00\xff " + strings.Repeat("long ", 60)} {
		var keys []sessions.Key
		for _, id := range []string{"revoked", "updated", "born"} {
			row := Row(id+"\x00 ü", now)
			row.Realm = realm
			if id == "born" {
				row.RevokedAt = now
			}
			row = Create(t, s, row)
			keys = append(keys, row.Key())
		}
		Revoke(t, s, keys[0])
		_, err := s.Update(ctx(), keys[1], func(row sessions.Session, now time.Time) (sessions.Session, bool) {
			row.RevokedAt, row.EndReason = now, sessions.EndReuse
			return row, true
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			at := Get(t, s, key).RevokedAt
			sink.Wait(t, fmt.Sprintf("%q is revoked", key), func(h *Heard) bool { return h.Revoked[key].Equal(at) })
		}
	}
	for i, filter := range []sessions.Filter{
		{User: "\xff\x00"},
		{Actor: &sessions.Principal{Issuer: "i", Subject: "s"}},
		{Impersonations: true},
		{User: strings.Repeat("too long for a notice", 1000)},
	} {
		c := revocation.Cutoff{ID: fmt.Sprint("cutoff ", i), Realm: "r\x00", At: s.Now(), Filter: filter}
		if _, err := s.AddCutoff(ctx(), c); err != nil {
			t.Fatal(err)
		}
		sink.Wait(t, c.ID, func(h *Heard) bool { return reflect.DeepEqual(h.Cutoffs[c.ID], c) })
	}
	alive := 0
	sink.Read(func(h *Heard) { alive = h.Alive })
	sink.Wait(t, "alive again", func(h *Heard) bool { return h.Alive >= alive+2 })
}

// Everything calls each method of a working, empty store.
func Everything(t testing.TB, s Store) {
	t.Helper()
	row := Create(t, s, Row("everything", s.Now()))
	_, _, rotated, rotate := s.Rotate(ctx(), Token(&row), &sessions.Fresh{KeyID: "k"})
	if !rotated {
		t.Error("not rotated")
	}
	counted := Row("counted", s.Now())
	counted.Impersonation, counted.ActorSID, counted.ActorSub = true, "sid", "sub"
	_, created, _, count := s.Create(ctx(), counted)
	if !created {
		t.Error("not created")
	}
	_, update := s.Update(ctx(), row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) { row.Rule = "r"; return row, true })
	_, list := s.List(ctx(), sessions.Query{Realm: row.Realm, User: "alice", Limit: 5})
	_, _, revoke := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	_, scan := s.Scan(ctx(), "", 5)
	_, realms := s.Realms(ctx())
	c := revocation.Cutoff{ID: "c", Realm: "r", At: s.Now(), Filter: sessions.Filter{User: "u"}}
	_, cut := s.AddCutoff(ctx(), c)
	_, cutoffs := s.Cutoffs(ctx(), "r")
	over := Row("over", s.Now())
	over.Idle, over.RotatedAt = 0, s.Now().Add(-time.Second) // our clock may be ahead of the server's
	Create(t, s, over)
	swept, sweep := s.Sweep(ctx(), 100, nil)
	if swept != 1 {
		t.Errorf("swept %d", swept)
	}
	LogoutsWork(t, s, &counted)
	for name, err := range map[string]error{
		"Rotate": rotate, "Create": count, "Update": update, "List": list, "Revoke": revoke, "Scan": scan, "Realms": realms,
		"AddCutoff": cut, "Cutoffs": cutoffs, "RemoveCutoff": s.RemoveCutoff(ctx(), c), "Sweep": sweep, "Ping": s.Ping(ctx()),
		"Revoked": s.Revoked(ctx(), storetest.Epoch, func(sessions.Key, time.Time) {}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	sink, _ := Follow(t, s)
	WantHeard(t, s, sink)
}

// LogoutsWork calls each method of logout.Store; the row must have names.
func LogoutsWork(t testing.TB, s Store, row *sessions.Session) {
	t.Helper()
	store, ok := sessions.As[logout.Store](s)
	if !ok {
		t.Fatal("the store does not support logouts")
	}
	found, each := 0, 0
	sid, _ := logout.Names(row)
	named := store.Named(ctx(), row.Realm, sid, func(rows []sessions.Session) error { found += len(rows); return nil })
	mark := store.Mark(ctx(), row.Realm, []logout.Mark{{Name: "over", At: storetest.Epoch, Until: storetest.Epoch}, {Name: "mark", At: storetest.Epoch, Until: s.Now().Add(time.Hour)}})
	marks, read := store.Marks(ctx(), row.Realm, []string{"mark", "over"})
	all := store.EachMark(ctx(), row.Realm, func(marks []logout.Mark) error { each += len(marks); return nil })
	if err := errors.Join(named, mark, read, all); err != nil || found != 1 || len(marks) != 1 || each != 1 {
		t.Errorf("%d rows by a name, marks %v, %d in all: %v", found, marks, each, err)
	}
}

// Interface guard
var _ revocation.Sink = (*Sink)(nil)

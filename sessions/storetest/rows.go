package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

func absence(s *suite) {
	key := sessions.Key{Realm: realm, ID: "nobody"}
	s.wantAbsent(key)
	_, err := s.store.Update(s.Context(), key, func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		s.Error("the transition was called")
		return row, true
	})
	if !errors.Is(err, sessions.ErrNotFound) {
		s.Errorf("updating: %v, not ErrNotFound", err)
	}
	s.wantAbsent(key)
	s.wantList(sessions.Query{Realm: realm, User: "alice"})
	s.wantSwept(0)
}

func createOnce(s *suite) {
	first := s.session("one", "alice")
	stored := s.create(first)
	s.wantRow(stored, s.get(first.Key()))
	second := s.session("one", "bob")
	second.Generation = 7
	stored, created, _, err := s.store.Create(s.Context(), second)
	s.must(err)
	if created {
		s.Error("created a second time")
	}
	s.wantRow(stored, s.get(first.Key()))
	if stored.UserID != "alice" || stored.Generation != 0 {
		s.Errorf("the first session was replaced: user %q", stored.UserID)
	}
	s.wantList(sessions.Query{Realm: realm, User: "bob"})
	s.wantList(sessions.Query{Realm: realm, User: "alice"}, "one")
}

func createContended(s *suite) {
	const workers = 32
	for round := range 8 {
		id := fmt.Sprint("contended-", round)
		var created atomic.Int32
		users := make([]string, workers)
		Together(workers, func(i int) {
			row, mine, _, err := s.store.Create(s.Context(), s.session(id, fmt.Sprint("user-", i)))
			s.check(err)
			if mine {
				created.Add(1)
				if row.UserID != fmt.Sprint("user-", i) {
					s.Errorf("created for %q, not for who asked", row.UserID)
				}
			}
			users[i] = row.UserID
		})
		if n := created.Load(); n != 1 {
			s.Fatalf("%d of %d created the session", n, workers)
		}
		owner := s.get(sessions.Key{Realm: realm, ID: id}).UserID
		for i, user := range users {
			if user != owner {
				s.Errorf("worker %d saw %q's session, not %q's", i, user, owner)
			}
			if s.wantOwner(id, fmt.Sprint("user-", i), owner); s.Failed() {
				return
			}
		}
	}
}

// wantOwner checks that only the owner's listing has the session.
func (s *suite) wantOwner(id, user, owner string) {
	s.Helper()
	found := slices.Contains(s.list(sessions.Query{Realm: realm, User: user, Limit: 50}), id)
	if found != (user == owner) {
		s.Errorf("the listing of %q has the session of %q: %t", user, owner, found)
	}
}

func createAfterEnd(s *suite) {
	row := s.session("ended", "alice")
	s.create(row)
	s.clock.Advance(48 * time.Hour)
	again := s.session("ended", "alice")
	stored, created, _, err := s.store.Create(s.Context(), again)
	s.must(err)
	if created {
		s.Error("a session that ended was replaced before it was swept")
	}
	s.wantRow(stored, s.get(row.Key()))
	s.wantList(sessions.Query{Realm: realm, User: "alice"}, "ended")
}

func update(s *suite) {
	row := s.session("one", "alice")
	s.create(row)
	s.clock.Advance(time.Minute)
	want := row
	want.Generation, want.Secret, want.RotatedAt = 1, [sessions.SecretSize]byte{1, 2, 3}, s.store.Now()
	stored, err := s.store.Update(s.Context(), row.Key(), func(now sessions.Session, at time.Time) (sessions.Session, bool) {
		if !at.Equal(s.store.Now()) {
			s.Errorf("the transition happens at %v, not %v", at, s.store.Now())
		}
		s.wantRow(now, row)
		now.Generation, now.Secret, now.RotatedAt = want.Generation, want.Secret, at
		return now, true
	})
	s.must(err)
	s.wantRow(stored, want)
	s.wantRow(s.get(row.Key()), want)
}

func updateContended(s *suite) {
	const workers, times = 16, 25
	keys := []sessions.Key{{Realm: realm, ID: "a"}, {Realm: realm, ID: "b"}}
	for _, key := range keys {
		s.create(s.session(key.ID, "alice"))
	}
	Together(workers, func(i int) {
		for n := range times {
			s.update(keys[n%2], func(row *sessions.Session) { row.Generation++ })
		}
	})
	if total := s.get(keys[0]).Generation + s.get(keys[1]).Generation; total != workers*times {
		s.Errorf("%d of %d updates are there", total, workers*times)
	}
}

func updateWithoutWrite(s *suite) {
	row := s.create(s.session("one", "alice"))
	stored, err := s.store.Update(s.Context(), row.Key(), func(now sessions.Session, _ time.Time) (sessions.Session, bool) {
		now.Generation, now.UserID, now.RevokedAt = 9, "bob", s.store.Now()
		return now, false
	})
	s.must(err)
	s.wantRow(stored, row)
	s.wantRow(s.get(row.Key()), row)
	s.wantList(sessions.Query{Realm: realm, User: "alice"}, "one")
}

func clockIsMilliseconds(s *suite) {
	s.clock.Set(Epoch.Add(1234567).In(time.FixedZone("odd", 3600)))
	now := s.store.Now()
	if want := Epoch.Add(time.Millisecond); !now.Equal(want) || now.Location() != time.UTC {
		s.Errorf("now is %v, not %v", now, want)
	}
}

// full returns a session each field of which says something.
func (s *suite) full() sessions.Session {
	row := s.impersonation("full", "alice", "support")
	row.Reason, row.ActorClient, row.Rule = `ticket "4711" <&> ü `+"\u2028", "desk", "scope sessions:impersonate"
	row.ActorClaims = sessions.Claims{
		"nothing": nil, "yes": true, "text": "é\"\\\u2028<", "whole": int64(1<<53 + 1), "negative": int64(-5), "part": 1.5,
		"big": 1e300, "list": []any{"a", int64(1), []any{}, map[string]any{"deep": int64(2)}}, "object": map[string]any{"x": "y"},
	}
	row.ActorAbsent, row.ActorWhole = []string{"email", `dept "x"`}, true
	row.Kept, row.KeptAt = sessions.Claims{"groups": []any{"a", "ü"}, "level": int64(3)}, row.CreatedAt.Add(-time.Minute)
	row.ActorSub, row.ActorSID, row.ActorAuthAt = "f:uuid:support", "08a5019c", Epoch.Add(-time.Hour).Truncate(time.Second)
	row.Pending = &sessions.Pending{Life: time.Hour + time.Millisecond, ByActor: true, ReturnTo: "/wéb?a=b&c"}
	row.IP, row.UserAgent, row.ReportedBy, row.RotatedFrom = "192.0.2.1", "agent/1.0 \t", "10.0.0.5", "2001:db8::1"
	row.Generation = 1<<64 - 1
	row.Idle = 90*time.Minute + time.Millisecond
	row.RotatedAt = row.CreatedAt.Add(time.Millisecond)
	row.RevokedAt, row.EndReason = row.CreatedAt.Add(time.Minute), sessions.EndReuse
	row.Cookies, row.Confirmed, row.ConfirmedAt = true, 1<<64-2, row.CreatedAt.Add(2*time.Millisecond)
	row.RequestHash = []byte{0, 1, 254, 255}
	for i := range row.Secret {
		row.Secret[i], row.SecretPrev[i] = byte(i), byte(255-i)
	}
	t := reflect.ValueOf(row)
	for i := range t.NumField() {
		if t.Field(i).IsZero() {
			s.Fatalf("the suite does not know the field %s: give it a value here", t.Type().Field(i).Name)
		}
	}
	return row
}

func roundTrip(s *suite) {
	want := s.full()
	s.wantRow(s.create(want), want)
	s.wantRow(s.get(want.Key()), want)
	plain := s.session("plain", "alice")
	s.wantRow(s.create(plain), plain)
	s.wantRow(s.get(plain.Key()), plain)
	s.wantRow(s.rows(sessions.Query{Realm: realm, User: "alice"})[0], plain)
}

func roundTripUpdate(s *suite) {
	want := s.full()
	empty := s.impersonation(want.ID, want.UserID, want.Actor.Subject)
	empty.ActorSub, empty.ActorSID = want.ActorSub, want.ActorSID // no transition changes what an index is made of
	s.create(empty)
	change := func(row *sessions.Session) { *row = want }
	s.wantRow(s.update(want.Key(), change), want)
	s.wantRow(s.get(want.Key()), want)
	s.wantRow(s.update(want.Key(), func(row *sessions.Session) { *row = empty }), empty)
	s.wantRow(s.get(want.Key()), empty)
}

func aliasing(s *suite) {
	want, mine := s.full(), s.full()
	want.RevokedAt, mine.RevokedAt = time.Time{}, time.Time{}
	spoil := func(row *sessions.Session) {
		row.ActorClaims["text"] = "spoilt"
		row.ActorClaims["list"].([]any)[0] = "spoilt"
		row.RequestHash[0] = 99
		row.ActorAbsent[0] = "spoilt"
		row.Pending.Life = 0
	}
	stored := s.create(mine)
	spoil(&mine)
	s.wantRow(s.get(want.Key()), want)
	stored.ActorClaims["more"] = true
	s.wantRow(s.get(want.Key()), want)
	read := s.get(want.Key())
	spoil(&read)
	s.wantRow(s.get(want.Key()), want)
	listed := s.rows(sessions.Query{Realm: realm, User: want.UserID})
	spoil(&listed[0])
	s.wantRow(s.get(want.Key()), want)
	updated := s.update(want.Key(), func(row *sessions.Session) { row.Rule = want.Rule })
	spoil(&updated)
	s.wantRow(s.get(want.Key()), want)
}

func realmsOfKeys(s *suite) {
	here, there := s.session("same", "alice"), s.session("same", "bob")
	there.Realm = realm + "/"
	s.create(here)
	s.wantAbsent(there.Key())
	s.create(there)
	s.update(there.Key(), func(row *sessions.Session) { row.Generation = 5 })
	s.wantRow(s.get(here.Key()), here)
	if got := s.get(there.Key()); got.UserID != "bob" || got.Generation != 5 {
		s.Errorf("the other realm has %q", got.UserID)
	}
	s.wantAbsent(sessions.Key{Realm: "", ID: "same"})
	s.wantAbsent(sessions.Key{Realm: realm + "/same", ID: ""})
}

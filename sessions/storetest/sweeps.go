package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

func sweepDue(s *suite) {
	due, left := s.impersonation("due", "alice", "support"), s.impersonation("left", "alice", "support")
	left.Idle = 2 * time.Hour
	absolute := s.session("absolute", "alice")
	absolute.Idle, absolute.ExpiresAt = 24*time.Hour, s.store.Now().Add(time.Hour)
	other := due
	other.Realm = "other"
	for _, row := range []sessions.Session{due, left, absolute, other} {
		s.create(row)
	}
	s.clock.Advance(time.Hour - time.Millisecond)
	s.wantSwept(0)
	s.get(due.Key())
	s.clock.Advance(time.Millisecond)
	s.wantSwept(3)
	for _, row := range []sessions.Session{due, absolute, other} {
		s.wantAbsent(row.Key())
	}
	s.wantRow(s.get(left.Key()), left)
	for _, keysOnly := range []bool{false, true} {
		s.wantList(sessions.Query{Realm: realm, User: "alice", KeysOnly: keysOnly}, "left")
		s.wantList(sessions.Query{Realm: realm, Actor: idp("support"), KeysOnly: keysOnly}, "left")
		s.wantList(sessions.Query{Realm: realm, Impersonations: yes, KeysOnly: keysOnly}, "left")
		s.wantList(sessions.Query{Realm: "other", User: "alice", KeysOnly: keysOnly})
	}
	s.wantSwept(0)
}

func sweepLimit(s *suite) {
	const rows = 600
	for i := range rows {
		row := s.session(fmt.Sprint(i), fmt.Sprint("user-", i%7))
		if i%2 == 0 {
			row.Realm = "other"
		}
		row.Idle += time.Duration(i) * time.Millisecond
		s.create(row)
	}
	kept := s.create(s.session("kept", "alice"))
	s.clock.Advance(12 * time.Hour)
	s.update(kept.Key(), func(row *sessions.Session) { row.RotatedAt = s.store.Now() })
	if n := s.sweep(0); n != 0 {
		s.Errorf("a sweep of at most 0 deleted %d", n)
	}
	total := 0
	for _, limits := range [][]int{{1, 7}, {300, 100}} {
		for _, limit := range limits {
			n := s.sweep(limit)
			if n != limit {
				s.Errorf("a sweep of at most %d deleted %d while more were due", limit, n)
			}
			total += n
		}
		gone := 0
		for i := range rows {
			at := realm
			if i%2 == 0 {
				at = "other"
			}
			if _, err := s.store.Get(s.Context(), sessions.Key{Realm: at, ID: fmt.Sprint(i)}); errors.Is(err, sessions.ErrNotFound) {
				gone++
			}
		}
		if gone != total {
			s.Errorf("%d rows are gone after sweeps of %d", gone, total)
		}
	}
	if n := s.sweep(1000); n != rows-total {
		s.Errorf("the last sweep deleted %d of %d", n, rows-total)
	}
	s.wantSwept(0)
	s.get(kept.Key())
}

func sweepUsed(s *suite) {
	used := s.create(s.session("used", "alice"))
	idle := s.create(s.session("idle", "alice"))
	for range 5 {
		s.clock.Advance(50 * time.Minute)
		s.update(used.Key(), func(row *sessions.Session) {
			row.RotatedAt = s.store.Now()
			row.Generation++
		})
		s.sweep(100)
	}
	s.wantAbsent(idle.Key())
	if got := s.get(used.Key()).Generation; got != 5 {
		s.Errorf("the session is at generation %d", got)
	}
	s.wantList(sessions.Query{Realm: realm, User: "alice"}, "used")
	s.clock.Advance(time.Hour - time.Millisecond)
	s.wantSwept(0)
	s.clock.Advance(time.Millisecond)
	s.wantSwept(1)
	s.wantAbsent(used.Key())
}

func sweepRevoked(s *suite) {
	row := s.session("revoked", "alice")
	row.ExpiresAt, row.Idle = row.CreatedAt.Add(240*time.Hour), 100*time.Hour
	s.create(row)
	alike := row
	alike.ID = "alike"
	s.create(alike)
	s.clock.Advance(time.Hour)
	s.update(row.Key(), func(row *sessions.Session) { row.RotatedAt = s.store.Now() })
	s.revoke(row.Key())
	now := s.get(row.Key())
	wait := now.PurgeAt().Sub(s.store.Now())
	if wait <= 0 || wait >= 99*time.Hour {
		s.Fatalf("a revoked row is kept for %v", wait)
	}
	s.clock.Advance(wait - time.Millisecond)
	s.wantSwept(0)
	s.get(row.Key())
	s.clock.Advance(time.Millisecond)
	s.wantSwept(1)
	s.wantAbsent(row.Key())
	s.get(alike.Key())
	s.clock.Advance(300 * time.Hour)
	s.wantSwept(1)
}

func sweepContended(s *suite) {
	const rows, workers = 300, 8
	for i := range rows {
		s.create(s.session(fmt.Sprint(i), "alice"))
	}
	s.clock.Advance(24 * time.Hour)
	var deleted atomic.Int64
	Together(workers, func(int) {
		for {
			n, err := s.store.Sweep(s.Context(), 20, nil)
			s.check(err)
			deleted.Add(int64(n))
			if n < 20 {
				return
			}
		}
	})
	if n := deleted.Load(); n != rows {
		s.Errorf("%d deletions of %d rows", n, rows)
	}
	s.wantList(sessions.Query{Realm: realm, User: "alice"})
}

func sweepRace(s *suite) {
	const rows = 60
	for i := range rows {
		s.create(s.session(fmt.Sprint(i), "alice"))
	}
	s.clock.Advance(time.Hour)
	var used [rows]atomic.Bool
	var swept atomic.Int64
	Together(8, func(w int) {
		if w < 2 {
			for range rows / 2 {
				n, err := s.store.Sweep(s.Context(), 2, nil)
				s.check(err)
				swept.Add(int64(n))
			}
			return
		}
		for i := rows - w; i >= 0; i -= 6 {
			_, err := s.store.Update(s.Context(), sessions.Key{Realm: realm, ID: fmt.Sprint(i)},
				func(row sessions.Session, now time.Time) (sessions.Session, bool) {
					row.RotatedAt = now
					return row, true
				})
			used[i].Store(err == nil)
			if err != nil && !errors.Is(err, sessions.ErrNotFound) {
				s.Error(err)
			}
		}
	})
	swept.Add(int64(s.sweep(1000)))
	kept := 0
	for i := range rows {
		_, err := s.store.Get(s.Context(), sessions.Key{Realm: realm, ID: fmt.Sprint(i)})
		if used[i].Load() != (err == nil) {
			s.Errorf("session %d: used %t, then %v", i, used[i].Load(), err)
		}
		if err == nil {
			kept++
		}
	}
	if kept+int(swept.Load()) != rows {
		s.Errorf("%d kept and %d swept of %d", kept, swept.Load(), rows)
	}
	if n := len(s.list(sessions.Query{Realm: realm, User: "alice"})); n != kept {
		s.Errorf("%d are listed of %d", n, kept)
	}
}

func createAfterSweep(s *suite) {
	row := s.session("again", "alice")
	s.create(row)
	s.clock.Advance(2 * time.Hour)
	s.sweep(10)
	again := s.session("again", "bob")
	s.create(again)
	s.wantRow(s.get(again.Key()), again)
	s.wantList(sessions.Query{Realm: realm, User: "alice"})
	s.wantList(sessions.Query{Realm: realm, User: "bob"}, "again")
	s.clock.Advance(30 * time.Minute)
	s.wantSwept(0)
	s.get(again.Key())
}

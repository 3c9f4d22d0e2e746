package storetest

import (
	"fmt"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// pending returns an impersonation that is pending for a minute, and then lives for an hour.
func (s *suite) pending(id string) sessions.Session {
	row := s.impersonation(id, "alice", "support")
	row.Pending = &sessions.Pending{Life: time.Hour, ReturnTo: "/web"}
	row.ExpiresAt = row.CreatedAt.Add(time.Minute)
	return row
}

// open returns the transition that opens a pending session and sets opened.
func open(fresh *sessions.Fresh, opened *bool) sessions.Transition {
	return func(row sessions.Session, now time.Time) (next sessions.Session, write bool) {
		*opened = row.Pending != nil && row.Live(now)
		if !*opened {
			return row, false
		}
		row.RotatedAt, row.ExpiresAt = now, now.Add(row.Pending.Life)
		row.Generation++
		row.Secret, row.KeyID, row.RotatedFrom = fresh.Secret, fresh.KeyID, fresh.From
		row.Pending = nil
		return row, true
	}
}

// opener is what pending sessions are opened with.
var opener = sessions.Fresh{Secret: [sessions.SecretSize]byte{7}, KeyID: "key2", From: "192.0.2.7"}

func pendingOpened(s *suite) {
	row := s.create(s.pending("linked"))
	s.clock.Advance(30 * time.Second)
	var opened bool
	want := row
	want.RotatedAt, want.ExpiresAt = s.store.Now(), s.store.Now().Add(time.Hour)
	want.Secret, want.KeyID, want.RotatedFrom = opener.Secret, opener.KeyID, opener.From
	want.Generation, want.Pending = row.Generation+1, nil
	stored, err := s.store.Update(s.Context(), row.Key(), open(&opener, &opened))
	s.must(err)
	s.wantRow(stored, want)
	s.wantRow(s.get(row.Key()), want)
	s.clock.Advance(time.Hour - time.Millisecond)
	if n := s.sweep(10); n != 0 || !opened {
		s.Errorf("opened %t; swept %d while the session lives", opened, n)
	}
	s.wantList(sessions.Query{Realm: realm, User: "alice"}, "linked")
	s.clock.Advance(time.Millisecond)
	s.wantSwept(1)
}

func pendingSwept(s *suite) {
	row := s.create(s.pending("linked"))
	s.wantList(sessions.Query{Realm: realm, User: "alice"}, "linked")
	s.clock.Advance(time.Minute - time.Millisecond)
	s.wantSwept(0)
	s.clock.Advance(time.Millisecond)
	s.wantSwept(1)
	s.wantAbsent(row.Key())
}

func pendingContended(s *suite) {
	const workers = 32
	rows := []sessions.Session{s.create(s.pending("opened")), s.create(s.pending("revoked meanwhile"))}
	var first, second atomic.Int32
	Together(workers, func(i int) {
		for n, count := range []*atomic.Int32{&first, &second} {
			done := false
			transition := open(&opener, &done)
			if n == 1 && i%2 == 0 {
				transition = func(row sessions.Session, now time.Time) (sessions.Session, bool) {
					done = false
					row.RevokedAt, row.EndReason = now, sessions.EndRevoked
					return row, true
				}
			}
			if _, err := s.store.Update(s.Context(), rows[n].Key(), transition); err != nil {
				s.Error(err)
			}
			if done {
				count.Add(1)
			}
		}
	})
	if n := first.Load(); n != 1 {
		s.Errorf("%d of %d opened the session", n, workers)
	}
	if n := second.Load(); n > 1 {
		s.Errorf("%d opened the session that was revoked meanwhile", n)
	}
	if row := s.get(rows[1].Key()); row.RevokedAt.IsZero() {
		s.Error("opening the session took its revocation back")
	}
}

// wantCount creates the row and expects its count to be n or more.
func (s *suite) wantCount(row sessions.Session, n int) {
	s.Helper()
	stored, created, count, err := s.store.Create(s.Context(), row)
	s.must(err)
	if !created {
		s.Fatalf("%q existed", row.ID)
	}
	s.wantRow(stored, row)
	s.wantRow(s.get(row.Key()), row)
	if count < n {
		s.Errorf("%q is counted %d, of %d at least", row.ID, count, n)
	}
}

func countAtLeast(s *suite) {
	other := s.session("other", "alice")
	other.Realm = "other"
	for i := 1; i <= 9; i++ {
		s.wantCount(s.session(fmt.Sprint("own", i), "alice"), i)
		s.wantCount(s.impersonation(fmt.Sprint("imp", i), "alice", fmt.Sprint("desk", i%2)), i)
		s.wantCount(s.session(fmt.Sprint("bob", i), "bob"), i)
		other.ID = fmt.Sprint("other", i)
		s.wantCount(other, i)
	}
}

// countAfterEnds revokes sessions twice, in every way, so that a store that subtracts one twice
// counts too few.
func countAfterEnds(s *suite) {
	for i := range 4 {
		s.create(s.session(fmt.Sprint("kept", i), "alice"))
	}
	for i := range 6 {
		row := s.session(fmt.Sprint("gone", i), "alice")
		row.Idle = time.Minute
		s.create(row)
		if i%2 == 0 {
			s.revoke(row.Key())
			s.revoke(row.Key())
		}
	}
	s.wantCount(s.session("one", "alice"), 8)
	s.clock.Advance(10 * time.Minute)
	for range 2 {
		s.sweep(100)
	}
	s.wantCount(s.session("two", "alice"), 6)
	s.revoke(sessions.Key{Realm: realm, ID: "two"})
	s.clock.Advance(time.Minute)
	s.wantCount(s.session("three", "alice"), 6)
}

// countContended expects that each row is counted: of concurrent creations, the last one sees all.
func countContended(s *suite) {
	const rows = 24
	var most atomic.Int64
	Together(rows, func(i int) {
		_, _, count, err := s.store.Create(s.Context(), s.session(fmt.Sprint("row", i), "alice"))
		s.check(err)
		for {
			seen := most.Load()
			if int64(count) <= seen || most.CompareAndSwap(seen, int64(count)) {
				return
			}
		}
	})
	if n := most.Load(); n < rows {
		s.Errorf("nobody counted more than %d of %d", n, rows)
	}
}

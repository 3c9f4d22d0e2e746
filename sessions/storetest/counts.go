package storetest

import (
	"fmt"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

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

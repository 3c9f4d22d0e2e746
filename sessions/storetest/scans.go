package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// scan returns all rows, and calls between before each page except the first.
func (s *suite) scan(limit int, between func()) []sessions.Session {
	s.Helper()
	return s.pages(limit, func(cursor string) (sessions.Page, error) {
		if cursor != "" && between != nil {
			between()
		}
		return part[sessions.AdminStore](s).Scan(s.Context(), cursor, limit)
	})
}

func scanWhole(s *suite) {
	if rows := s.scan(3, nil); len(rows) != 0 {
		s.Errorf("%d rows in an empty store", len(rows))
	}
	want := make(map[sessions.Key]sessions.Session)
	for i, text := range append([]string{"plain", "other"}, hostile...) {
		row := s.session(text, "alice")
		if i%2 == 0 {
			row.Realm = text
		}
		if i%3 == 0 {
			row.Impersonation, row.Reason = true, text
		}
		s.create(row)
		if i%4 == 0 {
			s.revoke(row.Key())
		}
		want[row.Key()] = s.get(row.Key())
	}
	for _, limit := range []int{1, 2, 3, len(want) - 1, len(want), len(want) + 1} {
		seen := make(map[sessions.Key]bool)
		for _, row := range s.scan(limit, nil) {
			if seen[row.Key()] {
				s.Errorf("%q is there twice", row.Key())
			}
			seen[row.Key()] = true
			s.wantRow(row, want[row.Key()])
		}
		if len(seen) != len(want) {
			s.Errorf("%d of %d rows in pages of %d", len(seen), len(want), limit)
		}
	}
}

func scanWhileChanging(s *suite) {
	const rows = 30
	key := func(i int) sessions.Key { return sessions.Key{Realm: realm, ID: fmt.Sprint("kept ", i)} }
	for i := range rows {
		s.create(s.session(key(i).ID, "alice"))
		gone := s.session(fmt.Sprint("gone ", i), "alice")
		gone.Idle = 0
		s.create(gone)
	}
	n := 0
	seen := make(map[string]int)
	all := s.scan(4, func() {
		n++
		s.create(s.session(fmt.Sprint("new ", n), "bob"))
		s.update(key(n%rows), func(row *sessions.Session) { row.Generation++ })
		if n%3 == 0 {
			s.revoke(key(n))
		}
		s.sweep(5)
	})
	for i := range all {
		seen[all[i].ID]++
	}
	for i := range rows {
		if times := seen[key(i).ID]; times != 1 {
			s.Errorf("%q is there %d times", key(i).ID, times)
		}
	}
}

func scanCursors(s *suite) {
	for i := range 3 {
		s.create(s.session(fmt.Sprint(i), "alice"))
	}
	page, err := part[sessions.AdminStore](s).Scan(s.Context(), "", 1)
	s.must(err)
	query := sessions.Query{Realm: realm, User: "alice", Limit: 1}
	listed, err := s.store.List(s.Context(), query)
	s.must(err)
	for _, cursor := range []string{listed.Next, "!", "AAAA", page.Next + "!", strings.Repeat("A", 400)} {
		if page, err := part[sessions.AdminStore](s).Scan(s.Context(), cursor, 1); !errors.Is(err, sessions.ErrBadCursor) || len(page.Sessions) > 0 {
			s.Errorf("scanning from %q: %d rows, %v", cursor, len(page.Sessions), err)
		}
	}
	query.Cursor = page.Next
	if page, err := s.store.List(s.Context(), query); !errors.Is(err, sessions.ErrBadCursor) || len(page.Sessions) > 0 {
		s.Errorf("listing from a cursor of a scan: %d rows, %v", len(page.Sessions), err)
	}
}

func (s *suite) wantRealms(want ...string) {
	s.Helper()
	got, err := part[sessions.AdminStore](s).Realms(s.Context())
	s.must(err)
	slices.Sort(got)
	slices.Sort(want)
	if !equal(got, want) {
		s.Errorf("realms are %q, not %q", got, want)
	}
}

func scanRealms(s *suite) {
	s.wantRealms()
	for _, text := range hostile {
		row := s.session("one", "alice")
		row.Realm = text
		s.create(row)
	}
	s.wantRealms(slices.Clone(hostile)...)
	kept := s.session("kept", "alice")
	kept.Idle = 20 * revocation.Retention
	s.create(kept)
	s.create(s.session("gone", "alice"))
	if cutoffs, ok := sessions.As[revocation.Store](s.store); ok {
		for _, of := range []string{realm, "cut"} {
			c := s.cutoff("one")
			c.Realm = of
			s.addCutoff(c)
		}
		s.wantRealms(append([]string{realm, "cut"}, hostile...)...)
		c := s.cutoff("one")
		c.Realm = "cut"
		s.must(cutoffs.RemoveCutoff(s.Context(), c))
	}
	s.clock.Advance(10 * revocation.Retention)
	s.sweep(1000)
	s.wantRealms(realm)
}

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
)

// tokenOf gives a row the "sid" and the "sub" of its caller's token.
func tokenOf(row sessions.Session, sid, sub string) sessions.Session {
	row.ActorSID, row.ActorSub = sid, sub
	return row
}

// sidName and subName are the names of a row.
func sidName(row *sessions.Session) string { sid, _ := logout.Names(row); return sid }
func subName(row *sessions.Session) string { _, sub := logout.Names(row); return sub }

func (s *suite) named(realm, name string) []string {
	s.Helper()
	ids := []string{}
	for _, row := range s.rowsNamed(realm, name) {
		ids = append(ids, row.ID)
	}
	slices.Sort(ids)
	return ids
}

// rowsNamed reads the rows of a name, page by page.
func (s *suite) rowsNamed(realm, name string) (rows []sessions.Session) {
	s.Helper()
	s.must(part[logout.Store](s).Named(s.Context(), realm, name, func(page []sessions.Session) error {
		if len(page) > logout.MaxRows {
			s.Errorf("%d rows at a time", len(page))
		}
		rows = append(rows, page...)
		return nil
	}))
	return rows
}

func (s *suite) wantNamed(name string, want ...string) {
	s.Helper()
	if got := s.named(realm, name); !equal(got, want) {
		s.Errorf("found %q by a name, not %q", got, want)
	}
}

func named(s *suite) {
	one := tokenOf(s.session("one", "alice@example.com"), "sid-1", "f:1")
	two := tokenOf(s.impersonation("two", "bob", "alice@example.com"), "sid-2", "f:1")
	three := tokenOf(s.session("three", "carol"), "sid-1", "")
	plain := s.session("plain", "alice")
	elsewhere := tokenOf(s.session("elsewhere", "alice@example.com"), "sid-1", "f:1")
	elsewhere.Actor.Issuer = "https://other.example.com"
	for _, row := range []sessions.Session{one, two, three, plain, elsewhere} {
		row.CreatedAt, row.RotatedAt, row.ExpiresAt = time.Time{}, time.Time{}, time.Time{}.Add(time.Hour)
		s.create(row)
	}
	copied := tokenOf(s.session("copied", "dave"), "sid-3", "f:4")
	s.create(copied)
	s.wantNamed(sidName(&one), "one", "three")
	s.wantNamed(subName(&one), "one", "two")
	s.wantNamed(sidName(&two), "two")
	s.wantNamed(sidName(&copied), "copied")
	s.wantNamed(subName(&copied), "copied")
	s.wantNamed(sidName(&elsewhere), "elsewhere")
	rows := s.rowsNamed(realm, subName(&copied))
	if len(rows) == 1 {
		s.wantRow(rows[0], s.get(copied.Key()))
	}
}

func namedRevoked(s *suite) {
	row := s.create(tokenOf(s.session("one", "alice"), "sid-1", "f:1"))
	s.update(row.Key(), func(row *sessions.Session) { row.Generation++ })
	s.wantNamed(sidName(&row), "one")
	s.revoke(row.Key())
	s.wantNamed(sidName(&row))
	s.wantNamed(subName(&row))
	over := s.create(tokenOf(s.session("two", "alice"), "sid-1", "f:1"))
	s.clock.Advance(25 * time.Hour)
	s.sweep(10)
	s.wantAbsent(over.Key())
	s.wantNamed(sidName(&row))
	s.create(tokenOf(s.session("two", "alice"), "sid-9", ""))
	s.wantNamed(sidName(&row)) // of the id that was swept
}

func namedPending(s *suite) {
	row := tokenOf(s.impersonation("one", "alice", "support"), "sid-1", "f:1")
	row.ExpiresAt, row.Pending = s.store.Now().Add(time.Minute), &sessions.Pending{Life: 8 * time.Hour}
	s.create(row)
	s.clock.Advance(time.Minute - time.Millisecond)
	s.update(row.Key(), func(row *sessions.Session) {
		row.RotatedAt, row.Idle = s.store.Now(), 8*time.Hour
		row.ExpiresAt, row.Pending = row.RotatedAt.Add(row.Pending.Life), nil
	})
	s.clock.Advance(8*time.Hour - time.Millisecond)
	s.create(tokenOf(s.session("two", "alice"), "sid-1", "")) // which may sweep the name
	s.wantNamed(sidName(&row), "one", "two")
	s.wantNamed(subName(&row), "one")
}

func namedHostile(s *suite) {
	var want []string
	name := ""
	for i, text := range hostile {
		row := tokenOf(s.session(fmt.Sprint("r", i), "alice"), text, text)
		row.Realm = text
		s.create(row)
		for _, realm := range []string{realm, "https://other.example.com"} {
			row := tokenOf(s.session(fmt.Sprint(realm, i), "alice"), "sid", "sub")
			row.Realm, name = realm, sidName(&row)
			s.create(row)
		}
		want = append(want, fmt.Sprint(realm, i))
	}
	slices.Sort(want)
	s.wantNamed(name, want...)
}

func namedMany(s *suite) {
	var want []string
	row := sessions.Session{}
	for i := range 1200 {
		row = tokenOf(s.session(fmt.Sprintf("many-%04d", i), fmt.Sprint("user-", i)), "sid", "")
		want = append(want, s.create(row).ID)
	}
	s.wantNamed(sidName(&row), want...)
	// page may end the rows that it is given, and ask for no more.
	ended, errEnough := 0, errors.New("enough")
	err := part[logout.Store](s).Named(s.Context(), realm, sidName(&row), func(page []sessions.Session) error {
		for i := range page {
			s.revoke(page[i].Key())
		}
		if ended += len(page); ended >= 600 {
			return errEnough
		}
		return nil
	})
	if err != errEnough { //nolint:errorlint // it is returned as it is
		s.Errorf("ending after %d: %v", ended, err)
	}
	if left := len(s.named(realm, sidName(&row))); left != 1200-ended || left == 0 {
		s.Errorf("%d are left of 1200, and %d were ended", left, ended)
	}
}

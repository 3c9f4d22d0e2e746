package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"authsidecar/sessions"
)

func realmsOfListings(s *suite) {
	for _, at := range []string{realm, "other"} {
		for i := range 4 {
			row := s.impersonation(fmt.Sprint(i), "alice", "support")
			row.Realm, row.Rule, row.Impersonation = at, at, i%2 == 1
			s.create(row)
		}
	}
	for _, query := range []sessions.Query{
		{User: "alice"}, {Actor: idp("support")}, {Impersonations: yes}, {Impersonations: no}, {User: "alice", Actor: idp("support")},
	} {
		for _, at := range []string{realm, "other", "nowhere"} {
			query.Realm = at
			rows := s.rows(query)
			if len(rows) < 2 && at != "nowhere" || len(rows) > 0 && at == "nowhere" {
				s.Errorf("%s lists %d rows", show(query), len(rows))
			}
			for _, row := range rows {
				if row.Realm != at || row.Rule != at {
					s.Errorf("%s lists a row of %q", show(query), row.Rule)
				}
			}
		}
	}
}

func listOrder(s *suite) {
	var want []string
	for i := range 6 {
		for _, id := range []string{"a", "ab", "b", "b\x00", "c"} {
			row := s.session(fmt.Sprint(id, "-", i), "alice")
			if i%2 == 1 {
				row = s.impersonation(row.ID, "alice", "support")
			}
			s.create(row)
		}
		want = append([]string{
			fmt.Sprint("c-", i), fmt.Sprint("b-", i), fmt.Sprint("b\x00-", i), fmt.Sprint("ab-", i), fmt.Sprint("a-", i),
		}, want...)
		s.clock.Advance(time.Duration(1+i*1000) * time.Millisecond)
	}
	// "b-" is after "b\x00-", and "ab-" after "a-", byte by byte.
	for _, limit := range []int{1, 2, 7, 100} {
		s.wantList(sessions.Query{Realm: realm, User: "alice", Limit: limit}, want...)
	}
}

func listSelects(s *suite) {
	for _, row := range []sessions.Session{
		s.session("own-a", "alice"),
		s.session("own-b", "bob"),
		s.impersonation("x-a", "alice", "x"),
		s.impersonation("x-b", "bob", "x"),
		s.impersonation("y-a", "alice", "y"),
		s.impersonation("z-alice", "bob", "alice"),
	} {
		s.create(row)
	}
	elsewhere := s.impersonation("x2-a", "alice", "x")
	elsewhere.Actor.Issuer = "https://other.example.com"
	s.create(elsewhere)

	for _, c := range []struct {
		query sessions.Query
		want  []string
	}{
		{sessions.Query{User: "alice"}, []string{"y-a", "x2-a", "x-a", "own-a"}},
		{sessions.Query{User: "alice", Impersonations: no}, []string{"own-a"}},
		{sessions.Query{User: "alice", Impersonations: yes}, []string{"y-a", "x2-a", "x-a"}},
		{sessions.Query{User: "alice", Actor: idp("x")}, []string{"x-a"}},
		{sessions.Query{User: "alice", Actor: idp("x"), Impersonations: yes}, []string{"x-a"}},
		{sessions.Query{User: "alice", Actor: idp("x"), Impersonations: no}, nil},
		{sessions.Query{User: "alice", Actor: idp("alice")}, nil},
		{sessions.Query{User: "nobody"}, nil},
		{sessions.Query{Actor: idp("x")}, []string{"x-b", "x-a"}},
		{sessions.Query{Actor: idp("x"), Impersonations: yes}, []string{"x-b", "x-a"}},
		{sessions.Query{Actor: idp("x"), Impersonations: no}, nil},
		{sessions.Query{Actor: idp("alice")}, []string{"z-alice"}},
		{sessions.Query{Actor: &elsewhere.Actor}, []string{"x2-a"}},
		{sessions.Query{Actor: idp("bob")}, nil},
		{sessions.Query{Impersonations: yes}, []string{"z-alice", "y-a", "x2-a", "x-b", "x-a"}},
		{sessions.Query{Impersonations: no}, []string{"own-b", "own-a"}},
	} {
		c.query.Realm = realm
		for _, limit := range []int{1, 2, 100} {
			c.query.Limit, c.query.KeysOnly = limit, limit == 2
			s.wantList(c.query, c.want...)
		}
	}
}

// many creates n sessions of alice, newest first, of both kinds.
func (s *suite) many(n int) (ids []string) {
	for i := range n {
		row := s.session(fmt.Sprintf("%04d", i), "alice")
		if i%3 == 0 {
			row = s.impersonation(row.ID, "alice", "support")
		}
		s.create(row)
		ids = append(ids, row.ID)
		if i%2 == 0 {
			s.clock.Advance(time.Millisecond)
		}
	}
	slices.Reverse(ids)
	return ids
}

func listPages(s *suite) {
	want := s.many(30)
	for _, limit := range []int{1, 2, 7, 10, 29, 30, 31} {
		s.wantList(sessions.Query{Realm: realm, User: "alice", Limit: limit}, want...)
		s.wantList(sessions.Query{Realm: realm, User: "alice", Limit: limit, KeysOnly: true}, want...)
	}
	page, err := s.store.List(s.Context(), sessions.Query{Realm: realm, User: "alice", Limit: 10})
	s.must(err)
	if len(page.Sessions) != 10 {
		s.Errorf("a page of 10 has %d rows", len(page.Sessions))
	}
}

func listPagesWhileChanging(s *suite) {
	ids := s.many(40)
	query := sessions.Query{Realm: realm, User: "alice", Limit: 3}
	gone, seen := map[string]bool{}, map[string]int{}
	for n := 0; ; n++ {
		page, err := s.store.List(s.Context(), query)
		s.must(err)
		for _, row := range page.Sessions {
			seen[row.ID]++
		}
		if query.Cursor = page.Next; page.Next == "" {
			break
		}
		s.create(s.session(fmt.Sprint("new-", n), "alice"))
		older := s.session(fmt.Sprint("old-", n), "alice")
		older.CreatedAt = Epoch.Add(-time.Hour + time.Duration(n)*time.Minute)
		if n < 5 {
			s.create(older)
		}
		// The last row of the page, and one on a later page: where the listing stops and where it
		// continues.
		for _, id := range []string{page.Sessions[len(page.Sessions)-1].ID, ids[39-n]} {
			if seen[id] == 0 && !gone[id] || id == page.Sessions[len(page.Sessions)-1].ID {
				s.revoke(sessions.Key{Realm: realm, ID: id})
				gone[id] = true
			}
		}
	}
	for _, id := range ids {
		if n := seen[id]; n > 1 || n == 0 && !gone[id] {
			s.Errorf("%s was seen %d times", id, n)
		}
	}
}

func listKeysOnly(s *suite) {
	s.many(10)
	query := sessions.Query{Realm: realm, User: "alice", Limit: 4}
	whole := s.rows(query)
	query.KeysOnly = true
	keys := s.rows(query)
	if len(keys) != len(whole) {
		s.Fatalf("%d keys of %d rows", len(keys), len(whole))
	}
	for i := range keys {
		if keys[i].Key() != whole[i].Key() || !keys[i].CreatedAt.Equal(whole[i].CreatedAt) {
			s.Errorf("key %d is %v at %v, not %v at %v", i, keys[i].Key(), keys[i].CreatedAt, whole[i].Key(), whole[i].CreatedAt)
		}
	}
}

func listRevoked(s *suite) {
	for _, id := range []string{"a", "b", "c"} {
		s.create(s.impersonation(id, "alice", "support"))
		s.create(s.session("own-"+id, "alice"))
	}
	s.revoke(sessions.Key{Realm: realm, ID: "b"})
	s.revoke(sessions.Key{Realm: realm, ID: "own-b"})
	born := s.impersonation("born revoked", "alice", "support")
	born.RevokedAt = s.store.Now()
	s.create(born)
	// A revoked row that is written again stays out of listings.
	s.update(sessions.Key{Realm: realm, ID: "b"}, func(row *sessions.Session) { row.EndReason = sessions.EndReuse })
	for _, keysOnly := range []bool{false, true} {
		s.wantList(sessions.Query{Realm: realm, User: "alice", KeysOnly: keysOnly}, "own-c", "own-a", "c", "a")
		s.wantList(sessions.Query{Realm: realm, User: "alice", Impersonations: no, KeysOnly: keysOnly}, "own-c", "own-a")
		s.wantList(sessions.Query{Realm: realm, Impersonations: no, KeysOnly: keysOnly}, "own-c", "own-a")
		s.wantList(sessions.Query{Realm: realm, Actor: idp("support"), KeysOnly: keysOnly}, "c", "a")
		s.wantList(sessions.Query{Realm: realm, Impersonations: yes, KeysOnly: keysOnly}, "c", "a")
	}
	if row := s.get(sessions.Key{Realm: realm, ID: "b"}); row.RevokedAt.IsZero() || row.EndReason != sessions.EndReuse {
		s.Error("the revoked row is not there any more")
	}
}

func badCursor(s *suite) {
	s.many(5)
	page, err := s.store.List(s.Context(), sessions.Query{Realm: realm, User: "alice", Limit: 2})
	s.must(err)
	if page.Next == "" {
		s.Fatal("a page of 2 of 5 rows is the last")
	}
	for _, cursor := range []string{
		"x", "=", "AAAA", "0", " ", "%", page.Next + "A", page.Next + "=", page.Next[1:], page.Next[:len(page.Next)-2],
		"\x00", "null", "{}",
	} {
		page, err := s.store.List(s.Context(), sessions.Query{Realm: realm, User: "alice", Limit: 2, Cursor: cursor})
		if !errors.Is(err, sessions.ErrBadCursor) || len(page.Sessions) > 0 {
			s.Errorf("cursor %q: %v, not ErrBadCursor", cursor, err)
		}
	}
}

func foreignCursor(s *suite) {
	s.many(9)
	for i := range 9 {
		row := s.session(fmt.Sprint("bob-", i), "bob")
		s.create(row)
		row.Realm = "other"
		s.create(row)
	}
	for _, from := range []sessions.Query{
		{Realm: realm, User: "alice"}, {Realm: "other", User: "bob"}, {Realm: realm, Impersonations: yes},
	} {
		from.Limit = 2
		page, err := s.store.List(s.Context(), from)
		s.must(err)
		page, err = s.store.List(s.Context(), sessions.Query{Realm: realm, User: "bob", Limit: 100, Cursor: page.Next})
		if err != nil && !errors.Is(err, sessions.ErrBadCursor) {
			s.Errorf("a cursor of %s: %v", show(from), err)
		}
		for _, row := range page.Sessions {
			if row.Realm != realm || row.UserID != "bob" {
				s.Errorf("a cursor of %s leads to %q", show(from), row.UserID)
			}
		}
	}
}

package redisstore

import (
	"errors"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
)

// Keys and indexes have 48 bits of a realm's hash: the second realm with the same ones gets nothing,
// and changes nothing, in the rows of the first.
func TestOfTwoRealmsWithOneHashTheSecondIsRefused(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"a server": server(t).URL(0), "a cluster": cluster(t).URL()} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, Options{URL: url})
			first := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
			second := first
			second.Realm = "https://second.example.com"
			// As if both had this hash: the first has it, and its row is under it.
			c := s.client
			value, err := c.Do(ctx(), c.B().Get().Key(s.keys.row(rowID(first.Key()))).Build()).ToString()
			if err != nil {
				t.Fatal(err)
			}
			r := newRef(&first, 0)
			found, _, err := s.get(ctx(), first.Key())
			if err != nil {
				t.Fatal(err)
			}
			r.id, r.nonce = rowID(second.Key()), found.ref.nonce
			index := s.keys.realm(own, hashRealm(second.Realm))
			_, indexed := s.run(ctx(), s.lua.index, index, "+", index, r.entry())
			for _, err := range []error{
				indexed, c.Do(ctx(), c.B().Set().Key(s.keys.row(r.id)).Value(value).Build()).Error(),
				c.Do(ctx(), c.B().Hset().Key(s.keys.realms()).FieldValue().FieldValue(hashRealm(second.Realm), first.Realm).Build()).Error(),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			stored := func() string {
				value, _ := c.Do(ctx(), c.B().Get().Key(s.keys.row(r.id)).Build()).ToString()
				return value
			}
			before := stored()
			_, _, revoke := s.Revoke(ctx(), second.Key(), sessions.EndRevoked)
			other := second
			other.ID = "two"
			no := false
			query := sessions.Query{Realm: second.Realm, Impersonations: &no, Limit: 5}
			_, list := s.List(ctx(), query)
			query.KeysOnly = true
			page, keys := s.List(ctx(), query)
			for name, err := range map[string]error{"Revoke": revoke, "Create": sharedtest.CreateErr(s, other), "List": list, "List of keys": keys} {
				if !errors.Is(err, ErrRealm) || !errors.Is(err, sessions.ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if len(page.Sessions) != 0 {
				t.Errorf("listed are %v", page.Sessions)
			}
			if _, err := s.Get(ctx(), second.Key()); !errors.Is(err, sessions.ErrUnavailable) {
				t.Errorf("Get: %v", err)
			}
			if after := stored(); after != before {
				t.Errorf("stored is %q, not %q", after, before)
			}
			sharedtest.Revoke(t, s, first.Key())
		})
	}
}

// TestAnUpdateDoesNotChangeTheUser, whom indexes go by.
func TestAnUpdateDoesNotChangeTheUser(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	_, err := s.Update(ctx(), row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		row.UserID = "bob"
		return row, true
	})
	if !errors.Is(err, sessions.ErrUnavailable) || sharedtest.Get(t, s, row.Key()).UserID != row.UserID {
		t.Errorf("updated: %v", err)
	}
}

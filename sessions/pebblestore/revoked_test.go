package pebblestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// keysOf counts the keys of a kind.
func keysOf(t *testing.T, s *Store, kind byte) (n int) {
	t.Helper()
	iter, err := s.engine.Load().db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for iter.First(); iter.Valid(); iter.Next() {
		n++
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// keyOf returns the key of row.
func keyOf(id string) sessions.Key {
	r := row(id, "alice")
	return r.Key()
}

func TestTheLogOfEndsIsThereWhenTheStoreIsOpenedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	filled(t, dir, 3)
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	revoke(t, s, keyOf("1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	var reported []sessions.Key
	err = s.Revoked(ctx(), time.Time{}, func(key sessions.Key, _ time.Time) { reported = append(reported, key) })
	if err != nil || len(reported) != 1 || reported[0] != keyOf("1") {
		t.Errorf("reported are %v, %v", reported, err)
	}
}

// What is older than anybody asks for goes, in few steps.
func TestTheLogOfEndsStaysSmall(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := openStore(t, Options{Now: func() time.Time { return now }})
	most := 0
	for i := range 500 { // 8 hours, one end a minute
		r := row(fmt.Sprint(i), "alice")
		r.CreatedAt, r.RotatedAt = now, now
		if _, _, _, err := s.Create(ctx(), r); err != nil {
			t.Fatal(err)
		}
		revoke(t, s, r.Key())
		now = now.Add(time.Minute)
		if _, err := s.Sweep(ctx(), 100, nil); err != nil {
			t.Fatal(err)
		}
		most = max(most, keysOf(t, s, kindRevoked))
	}
	if want := int((logKept + 2*logMargin) / time.Minute); most > want || most < int(revocation.Retention/time.Minute) {
		t.Errorf("the log holds %d entries, one a minute", most)
	}
}

// A store of before there was a table of names gets them by and by, and nobody takes
// one for another meanwhile.
func TestRowsOfARealmWithoutANameAreNotGuessed(t *testing.T) {
	now := row("", "").CreatedAt
	s := openStore(t, Options{Now: func() time.Time { return now }})
	kept, due := row("kept", "alice"), row("due", "alice")
	due.Idle = time.Hour
	for _, r := range []sessions.Session{kept, due} {
		if _, _, _, err := s.Create(ctx(), r); err != nil {
			t.Fatal(err)
		}
	}
	e := s.engine.Load()
	if err := e.db.Delete(appendPrefix(nil, kindRealm, hashString(kept.Realm)), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	e.realms.names = nil
	if _, err := s.Scan(ctx(), "", 10); !errors.Is(err, errUnnamed) || !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("scanning: %v", err)
	}
	if _, err := s.Realms(ctx()); !errors.Is(err, errUnnamed) {
		t.Errorf("realms: %v", err)
	}
	now = now.Add(2 * time.Hour)
	var reported []sessions.Key
	if n, err := s.Sweep(ctx(), 10, func(row *sessions.Session) { reported = append(reported, row.Key()) }); n != 1 || err != nil || reported[0].Realm != "" {
		t.Errorf("swept %d %v, %v", n, reported, err)
	}
	revoke(t, s, kept.Key())
	page, err := s.Scan(ctx(), "", 10)
	if err != nil || len(page.Sessions) != 1 || page.Sessions[0].Key() != kept.Key() {
		t.Errorf("%v, %v", page, err)
	}
}

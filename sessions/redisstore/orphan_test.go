package redisstore

import (
	"errors"
	"math"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/storetest"
)

// TestWhatACallLeftBehindInAClusterLeadsNowhere: of one that broke off after it
// wrote the indexes and before it wrote the row, nothing is listed or scanned, or reported
// to have ended; it is counted, and left alone for a while, since its row may be on its
// way; then a sweep takes it away.
func TestWhatACallLeftBehindInAClusterLeadsNowhere(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openStore(t, Options{Now: clock.Now, URL: cluster(t).URL()})
	row := sharedtest.Row("broken off", storetest.Epoch)
	row.Idle = time.Minute
	m := newRef(&row, math.MaxUint64)
	if _, err := s.addEntries(ctx(), &m, &row); err != nil {
		t.Fatal(err)
	}
	size := func() int { return indexed(t, s, &m) }
	if n := size(); n != 4 {
		t.Fatalf("%d entries were written", n)
	}
	for _, keysOnly := range []bool{false, true} {
		page, err := s.List(ctx(), sessions.Query{Realm: row.Realm, User: "alice", Limit: 5, KeysOnly: keysOnly})
		if err != nil || len(page.Sessions) != 0 || page.Next != "" {
			t.Errorf("listed are %+v, %v", page, err)
		}
	}
	if page, err := s.Scan(ctx(), "", 5); err != nil || len(page.Sessions) != 0 || page.Next != "" {
		t.Errorf("scanned are %+v, %v", page, err)
	}
	if _, _, count, err := s.Create(ctx(), sharedtest.Row("other", storetest.Epoch)); err != nil || count != 2 {
		t.Errorf("%d are counted, %v", count, err)
	}
	before := size()
	sweep := func() {
		t.Helper()
		n, err := s.Sweep(ctx(), 10, func(row *sessions.Session) { t.Errorf("%q is reported", row.ID) })
		if n != 0 || err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
	}
	clock.Advance(time.Minute + orphanAge - time.Millisecond)
	if sweep(); size() != before {
		t.Error("it was taken away too soon")
	}
	clock.Advance(time.Millisecond)
	if sweep(); size() != before-4 {
		t.Errorf("%d of 4 are left", size()-before+4)
	}
	if _, err := s.Get(ctx(), sessions.Key{Realm: row.Realm, ID: "other"}); err != nil {
		t.Error(err)
	}
}

// indexed is how much the indexes hold that a mark is in.
func indexed(t *testing.T, s *Store, m *ref) (n int) {
	t.Helper()
	part := shard(m.id, s.shards)
	for _, key := range append(s.keys.listings(m), s.keys.all(part), s.keys.due(part)) {
		members, _, err := s.walk(ctx(), s.run, key, "", math.MaxInt32, "")
		if err != nil {
			t.Fatal(err)
		}
		n += len(members)
	}
	return n
}

// TestARevocationThatBrokeOffInAClusterIsFinishedByTheNext: the row is ended, but
// is in no log; who revokes it again writes it there.
func TestARevocationThatBrokeOffInAClusterIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{URL: cluster(t).URL()})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	if _, err := s.run(ctx(), s.lua.revoke, s.keys.row(rowID(row.Key())), string(sessions.EndRevoked), ownFormat, label(row.Key())); err != nil {
		t.Fatal(err)
	}
	reported := func() (n int) {
		if err := s.Revoked(ctx(), storetest.Epoch, func(sessions.Key, time.Time) { n++ }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := reported(); n != 0 {
		t.Fatalf("reported %d times", n)
	}
	if page, err := s.List(ctx(), sessions.Query{Realm: row.Realm, User: "alice", Limit: 5, KeysOnly: true}); err != nil || len(page.Sessions) != 0 {
		t.Errorf("listed are %+v, %v", page, err)
	}
	if _, ended, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); ended || err != nil {
		t.Errorf("revoked again: %t, %v", ended, err)
	}
	if n := reported(); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

// TestRevokedReadsALogThatIsLong, of many that ended at one time.
func TestRevokedReadsALogThatIsLong(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	const many = 2*logBatch + 7
	for begin := 0; begin < many; begin += 1000 {
		command := []string{"ZADD", s.keys.log(0)}
		for i := begin; i < min(begin+1000, many); i++ {
			at := storetest.Epoch.Add(time.Duration(max(0, i-many+3)) * time.Millisecond)
			command = append(command, millis(at), label(sessions.Key{Realm: "r", ID: place(storetest.Epoch.Add(time.Duration(i) * time.Millisecond))}))
		}
		if err := s.client.Do(ctx(), s.client.B().Arbitrary(command...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	reported := make(map[sessions.Key]bool)
	if err := s.Revoked(ctx(), storetest.Epoch, func(key sessions.Key, _ time.Time) { reported[key] = true }); err != nil || len(reported) != many {
		t.Errorf("%d of %d are reported, %v", len(reported), many, err)
	}
}

// TestAForeignMarkIsNotGuessed at.
func TestAForeignMarkIsNotGuessed(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	// The first leaf of an index has no name of its own.
	for _, key := range []string{s.keys.all(0) + ":", s.keys.due(0) + ":", s.keys.log(0), s.keys.user(own, hashUser("r", "u"))} {
		if err := s.client.Do(ctx(), s.client.B().Zadd().Key(key).ScoreMember().ScoreMember(0, "foreign").Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	_, scan := s.Scan(ctx(), "", 5)
	_, sweep := s.Sweep(ctx(), 5, nil)
	_, list := s.List(ctx(), sessions.Query{Realm: "r", User: "u", Limit: 5})
	_, realms := s.Realms(ctx())
	for name, err := range map[string]error{
		"Scan": scan, "Sweep": sweep, "List": list, "Realms": realms, "Revoked": s.Revoked(ctx(), time.UnixMilli(0), func(sessions.Key, time.Time) {}),
	} {
		if !errors.Is(err, calls.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestASessionIsListedOnceWhereACallBeforeItBrokeOff, of the same id and user.
func TestASessionIsListedOnceWhereACallBeforeItBrokeOff(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{URL: cluster(t).URL()})
	row := sharedtest.Row("twice", s.Now())
	m := newRef(&row, math.MaxUint64)
	if _, err := s.addEntries(ctx(), &m, &row); err != nil {
		t.Fatal(err)
	}
	sharedtest.Create(t, s, row)
	for _, keysOnly := range []bool{false, true} {
		page, err := s.List(ctx(), sessions.Query{Realm: row.Realm, User: "alice", Limit: 5, KeysOnly: keysOnly})
		if err != nil || len(page.Sessions) != 1 {
			t.Errorf("listed are %+v, %v", page, err)
		}
	}
	if page, err := s.Scan(ctx(), "", 5); err != nil || len(page.Sessions) != 1 {
		t.Errorf("scanned are %+v, %v", page, err)
	}
}

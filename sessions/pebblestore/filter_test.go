package pebblestore

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"authsidecar/sessions"
)

func counted(id, user string, impersonation bool) sessions.Session {
	now := time.UnixMilli(1_795_000_000_000).UTC()
	return sessions.Session{
		Realm: "https://app.example.com", ID: id, UserID: user, ClientID: "app", KeyID: "k", Impersonation: impersonation,
		Actor:     sessions.Principal{Issuer: "https://idp.example.com", Subject: "desk"},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: 24 * time.Hour,
	}
}

// filterOf waits until the filter knows what was there at the opening.
func filterOf(s *Store) *filter {
	t := s.engine.Load().filter
	t.reading.Wait()
	return t
}

// wantCount wants the user to have exactly so many with the new one. That two users
// share a counter is as likely as one in a million.
func wantCount(t *testing.T, s *Store, row sessions.Session, want int) {
	t.Helper()
	_, created, count, err := s.Create(ctx(), row)
	if err != nil || !created || count != want {
		t.Errorf("%s: created %t, counted %d, want %d; %v", row.ID, created, count, want, err)
	}
}

func revoke(t *testing.T, s *Store, key sessions.Key) {
	t.Helper()
	if _, err := s.Update(ctx(), key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		row.RevokedAt = now
		return row, true
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTheFilterIsExactWhereNobodyShares(t *testing.T) {
	now := time.UnixMilli(1_795_000_000_000)
	s := openStore(t, Options{Now: func() time.Time { return now }})
	filterOf(s)
	wantCount(t, s, counted("a1", "alice", false), 1)
	wantCount(t, s, counted("a2", "alice", false), 2)
	wantCount(t, s, counted("a3", "alice", true), 1)
	wantCount(t, s, counted("b1", "bob", false), 1)
	row := counted("a1", "alice", false)
	revoke(t, s, row.Key())
	revoke(t, s, row.Key())
	wantCount(t, s, counted("a4", "alice", false), 2)
	now = now.Add(48 * time.Hour)
	if n, err := s.Sweep(ctx(), 100, nil); n != 5 || err != nil {
		t.Fatalf("swept %d, %v", n, err)
	}
	wantCount(t, s, counted("a5", "alice", false), 1)
	wantCount(t, s, counted("b2", "bob", false), 1)
}

func TestTheFilterIsFilledFromWhatWasThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	for i := range 3 {
		wantCreated(t, s, counted(fmt.Sprint("a", i), "alice", false))
	}
	wantCreated(t, s, counted("b", "bob", true))
	row := counted("a0", "alice", false)
	revoke(t, s, row.Key())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	filterOf(s)
	wantCount(t, s, counted("a9", "alice", false), 3)
	wantCount(t, s, counted("b9", "bob", true), 2)
	wantCount(t, s, counted("c", "carol", false), 1)
}

func wantCreated(t *testing.T, s *Store, row sessions.Session) {
	t.Helper()
	if _, created, _, err := s.Create(ctx(), row); err != nil || !created {
		t.Fatalf("created %t, %v", created, err)
	}
}

// A store whose filter is not filled yet counts what comes, takes nothing away, and
// says that it does not know.
func TestTheFilterTellsNothingBeforeItIsFull(t *testing.T) {
	s := openStore(t, Options{})
	full := filterOf(s)
	empty := newFilter()
	empty.seed = full.seed
	s.engine.Load().filter = empty
	wantCount(t, s, counted("a1", "alice", false), math.MaxInt)
	wantCount(t, s, counted("a2", "alice", false), math.MaxInt)
	first, second := counted("a1", "alice", false), counted("a2", "alice", false)
	revoke(t, s, first.Key()) // what is filled later may have seen it, or not
	empty.read(s.engine.Load().db)
	if _, _, count, err := s.Create(ctx(), counted("a3", "alice", false)); count < 2 || count > 4 || err != nil {
		t.Errorf("counted %d, %v", count, err)
	}
	revoke(t, s, second.Key())
	if _, _, count, err := s.Create(ctx(), counted("a4", "alice", false)); count < 2 || count > 4 || err != nil {
		t.Errorf("counted %d, %v", count, err)
	}
}

func TestTheFilterReadsAllThereIsStepByStep(t *testing.T) {
	s := openStore(t, Options{})
	batch := s.engine.Load().db.NewBatch()
	realm, row := hashString("realm"), counted("", "", false)
	const users, each = filterStep/4 + 7, 5
	for user := range users {
		for i := range each {
			row.ID, row.UserID = fmt.Sprint(i), fmt.Sprint("user", user)
			if err := eachIndexKey(realm, &row, func(key, value []byte) error { return batch.Set(key, value, nil) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.engine.Load().commit(ctx(), batch); err != nil {
		t.Fatal(err)
	}
	again := newFilter()
	again.read(s.engine.Load().db)
	sum := 0
	for _, n := range again.counts {
		sum += int(n)
	}
	if sum != users*each {
		t.Errorf("%d counted of %d", sum, users*each)
	}
}

func TestACounterThatIsFullStaysFull(t *testing.T) {
	filter := newFilter()
	filter.full = true
	key := appendUserPrefix(nil, hashString("realm"), hashString("alice"), false)
	i := filter.counter(key)
	filter.counts[i] = maxCounted - 1
	if n := filter.count(key); n != maxCounted-1 {
		t.Errorf("%d", n)
	}
	filter.increment(key)
	filter.increment(key)
	filter.decrement([]uint32{i, i, i})
	if n := filter.count(key); n != math.MaxInt {
		t.Errorf("%d, after it was full", n)
	}
}

// absentIDs counts of some ids that are not there how many the filter knows so of.
func absentIDs(s *Store) (known int) {
	for i := range 1000 {
		if s.engine.Load().filter.isAbsent(appendRowKey(nil, hashString("https://app.example.com"), fmt.Sprint("no", i))) {
			known++
		}
	}
	return known
}

func TestTheFilterTakesNoIDForNewThatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	now := time.UnixMilli(1_795_000_000_000)
	s := openStore(t, Options{Dir: dir, Now: func() time.Time { return now }})
	filterOf(s)
	var rows []sessions.Session
	for i := range 50 {
		row := counted(fmt.Sprint("r", i), fmt.Sprint("user", i%7), i%2 == 0)
		if i%5 == 0 { // it is swept, and due at another time than it was
			row.Idle = time.Hour
		}
		rows = append(rows, row)
		wantCreated(t, s, row)
	}
	revoke(t, s, rows[1].Key())
	wantThere := func(when string) {
		t.Helper()
		for _, row := range rows {
			if s.engine.Load().filter.isAbsent(appendRowKey(nil, hashString(row.Realm), row.ID)) {
				t.Errorf("%s: %s is there, and is thought not to be", when, row.ID)
			}
			if _, created, _, err := s.Create(ctx(), row); created || err != nil {
				t.Errorf("%s: %s is created again, %v", when, row.ID, err)
			}
		}
		if n := absentIDs(s); n < 990 {
			t.Errorf("%s: of 1000 ids that are not there, %d are known so", when, n)
		}
	}
	wantThere("created")
	for i, row := range rows {
		if i%5 == 0 {
			if _, err := s.Update(ctx(), row.Key(), func(row sessions.Session, now time.Time) (sessions.Session, bool) {
				row.RotatedAt = now.Add(30 * time.Minute)
				return row, true
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	now = now.Add(time.Hour)
	if n, err := s.Sweep(ctx(), 100, nil); n != 0 || err != nil { // it moves entries
		t.Fatalf("swept %d, %v", n, err)
	}
	wantThere("moved")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir, Now: func() time.Time { return now }})
	filterOf(s)
	wantThere("opened again")
	s.engine.Load().filter.added = filterSpare
	rows = append(rows, counted("new", "alice", false))
	wantCreated(t, s, rows[len(rows)-1])
	filterOf(s)
	if filter := s.engine.Load().filter; !filter.full || filter.added >= filterSpare {
		t.Errorf("nothing was read again: %d added", filter.added)
	}
	wantThere("read again")
	wantCount(t, s, counted("a", "user1", false), 4) // and three kept, one revoked
}

func TestASweptIDCanBeCreatedAgain(t *testing.T) {
	now := time.UnixMilli(1_795_000_000_000)
	s := openStore(t, Options{Now: func() time.Time { return now }})
	filterOf(s)
	wantCreated(t, s, counted("a", "alice", false))
	now = now.Add(48 * time.Hour)
	if n, err := s.Sweep(ctx(), 100, nil); n != 1 || err != nil {
		t.Fatalf("swept %d, %v", n, err)
	}
	wantCreated(t, s, counted("a", "alice", false))
}

package pebblestore

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"authsidecar/sessions"
)

func tallied(id, user string, impersonation bool) sessions.Session {
	now := time.UnixMilli(1_795_000_000_000).UTC()
	return sessions.Session{
		Realm: "https://app.example.com", ID: id, UserID: user, ClientID: "app", KeyID: "k", Impersonation: impersonation,
		Actor:     sessions.Principal{Issuer: "https://idp.example.com", Subject: "desk"},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: 24 * time.Hour,
	}
}

// tallyOf waits until the tally knows what was there at the opening.
func tallyOf(s *Store) *tally {
	t := s.engine.Load().tally
	t.reading.Wait()
	return t
}

// wantTally wants the user to have exactly so many with the new one. That two users
// share a counter is as likely as one in a million.
func wantTally(t *testing.T, s *Store, row sessions.Session, want int) {
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

func TestTheTallyIsExactWhereNobodyShares(t *testing.T) {
	now := time.UnixMilli(1_795_000_000_000)
	s := openStore(t, Options{Now: func() time.Time { return now }})
	tallyOf(s)
	wantTally(t, s, tallied("a1", "alice", false), 1)
	wantTally(t, s, tallied("a2", "alice", false), 2)
	wantTally(t, s, tallied("a3", "alice", true), 1)
	wantTally(t, s, tallied("b1", "bob", false), 1)
	row := tallied("a1", "alice", false)
	revoke(t, s, row.Key())
	revoke(t, s, row.Key())
	wantTally(t, s, tallied("a4", "alice", false), 2)
	now = now.Add(48 * time.Hour)
	if n, err := s.Sweep(ctx(), 100, nil); n != 5 || err != nil {
		t.Fatalf("swept %d, %v", n, err)
	}
	wantTally(t, s, tallied("a5", "alice", false), 1)
	wantTally(t, s, tallied("b2", "bob", false), 1)
}

func TestTheTallyIsFilledFromWhatWasThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	for i := range 3 {
		wantCreated(t, s, tallied(fmt.Sprint("a", i), "alice", false))
	}
	wantCreated(t, s, tallied("b", "bob", true))
	row := tallied("a0", "alice", false)
	revoke(t, s, row.Key())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	tallyOf(s)
	wantTally(t, s, tallied("a9", "alice", false), 3)
	wantTally(t, s, tallied("b9", "bob", true), 2)
	wantTally(t, s, tallied("c", "carol", false), 1)
}

func wantCreated(t *testing.T, s *Store, row sessions.Session) {
	t.Helper()
	if _, created, _, err := s.Create(ctx(), row); err != nil || !created {
		t.Fatalf("created %t, %v", created, err)
	}
}

// A store whose tally is not filled yet counts what comes, takes nothing away, and
// says that it does not know.
func TestTheTallyTellsNothingBeforeItIsFull(t *testing.T) {
	s := openStore(t, Options{})
	full := tallyOf(s)
	empty := newTally()
	empty.seed = full.seed
	s.engine.Load().tally = empty
	wantTally(t, s, tallied("a1", "alice", false), math.MaxInt)
	wantTally(t, s, tallied("a2", "alice", false), math.MaxInt)
	first, second := tallied("a1", "alice", false), tallied("a2", "alice", false)
	revoke(t, s, first.Key()) // what is filled later may have seen it, or not
	empty.read(s.engine.Load().db)
	if _, _, count, err := s.Create(ctx(), tallied("a3", "alice", false)); count < 2 || count > 4 || err != nil {
		t.Errorf("counted %d, %v", count, err)
	}
	revoke(t, s, second.Key())
	if _, _, count, err := s.Create(ctx(), tallied("a4", "alice", false)); count < 2 || count > 4 || err != nil {
		t.Errorf("counted %d, %v", count, err)
	}
}

func TestTheTallyReadsAllThereIsStepByStep(t *testing.T) {
	s := openStore(t, Options{})
	batch := s.engine.Load().db.NewBatch()
	realm, row := hashString("realm"), tallied("", "", false)
	const users, each = tallyStep/4 + 7, 5
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
	again := newTally()
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
	tally := newTally()
	tally.full = true
	key := appendUserPrefix(nil, hashString("realm"), hashString("alice"), false)
	i := tally.counter(key)
	tally.counts[i] = manyTallied - 1
	if n := tally.count(key); n != manyTallied-1 {
		t.Errorf("%d", n)
	}
	tally.more(key)
	tally.more(key)
	tally.sub([]uint32{i, i, i})
	if n := tally.count(key); n != math.MaxInt {
		t.Errorf("%d, after it was full", n)
	}
}

// absentIDs counts of some ids that are not there how many the tally knows so of.
func absentIDs(s *Store) (known int) {
	for i := range 1000 {
		if s.engine.Load().tally.absent(appendRowKey(nil, hashString("https://app.example.com"), fmt.Sprint("no", i))) {
			known++
		}
	}
	return known
}

func TestTheTallyTakesNoIDForNewThatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	now := time.UnixMilli(1_795_000_000_000)
	s := openStore(t, Options{Dir: dir, Now: func() time.Time { return now }})
	tallyOf(s)
	var rows []sessions.Session
	for i := range 50 {
		row := tallied(fmt.Sprint("r", i), fmt.Sprint("user", i%7), i%2 == 0)
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
			if s.engine.Load().tally.absent(appendRowKey(nil, hashString(row.Realm), row.ID)) {
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
	tallyOf(s)
	wantThere("opened again")
	s.engine.Load().tally.added = tallyRoom
	rows = append(rows, tallied("new", "alice", false))
	wantCreated(t, s, rows[len(rows)-1])
	tallyOf(s)
	if tally := s.engine.Load().tally; !tally.full || tally.added >= tallyRoom {
		t.Errorf("nothing was read again: %d added", tally.added)
	}
	wantThere("read again")
	wantTally(t, s, tallied("a", "user1", false), 4) // and three kept, one revoked
}

func TestASweptIDCanBeCreatedAgain(t *testing.T) {
	now := time.UnixMilli(1_795_000_000_000)
	s := openStore(t, Options{Now: func() time.Time { return now }})
	tallyOf(s)
	wantCreated(t, s, tallied("a", "alice", false))
	now = now.Add(48 * time.Hour)
	if n, err := s.Sweep(ctx(), 100, nil); n != 1 || err != nil {
		t.Fatalf("swept %d, %v", n, err)
	}
	wantCreated(t, s, tallied("a", "alice", false))
}

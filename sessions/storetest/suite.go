package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
)

// Run proves the contract of sessions.Store on a store. newStore opens an empty
// one whose clock is now, and closes it at the end of the test. Several are open at once. What is said
// about closed stores is tested where it is an io.Closer, whose Close may be
// called twice.
func Run(t *testing.T, newStore func(t *testing.T, now func() time.Time) sessions.Store) {
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			clock := &clock{}
			clock.set(epoch)
			check.run(&suite{T: t, store: newStore(t, clock.now), clock: clock})
		})
	}
}

var checks = []struct {
	name string
	run  func(*suite)
}{
	{"an absent session is not found", absence},
	{"a session is created once", createOnce},
	{"of many who create the same session one does", createContended},
	{"a session that ended is in nobody's way until swept", createAfterEnd},
	{"an update is stored", update},
	{"no update is lost", updateContended},
	{"refreshes at once are as if one after the other", linearizable},
	{"a transition that does not write changes nothing", updateWithoutWrite},
	{"the store's clock is UTC in milliseconds", clockIsMilliseconds},
	{"each field survives a round trip", roundTrip},
	{"each field survives an update", roundTripUpdate},
	{"rows are not aliased", aliasing},
	{"any text is a realm, an id and a user", hostileText},
	{"the same id in two realms is two sessions", realmsOfKeys},
	{"a listing stays in its realm", realmsOfListings},
	{"a listing is newest first, and ties go by id", listOrder},
	{"a listing selects by user, actor and kind", listSelects},
	{"pages cover a listing once", listPages},
	{"paging goes on while sessions come and go", listPagesWhileChanging},
	{"keys alone are the same listing", listKeysOnly},
	{"a revoked session leaves every listing", listRevoked},
	{"a cursor that is none is refused", badCursor},
	{"a cursor of another query leaks nothing", foreignCursor},
	{"a sweep deletes what is due and nothing else", sweepDue},
	{"a sweep keeps to its limit and gets on", sweepLimit},
	{"a session used since is not swept", sweepUsed},
	{"a revoked session is swept sooner", sweepRevoked},
	{"sweeps at once delete each session once", sweepContended},
	{"a session used during a sweep is whole or gone", sweepRace},
	{"a swept session can be created again", createAfterSweep},
	{"a session is counted with all others of its user and kind", countAtLeast},
	{"a session is created once where it is counted", countOnce},
	{"no end of a session is counted twice", countAfterEnds},
	{"sessions that are created at once are all counted", countContended},
	{"what was ended is told, of all realms, once swept too", revokedTold},
	{"what was ended is told from a time on", revokedSince},
	{"what was ended is told as long as a token may live", revokedMemory},
	{"a session that is copied is told with its end", revokedCopied},
	{"a sweep tells of each session that nobody ended", sweepTells},
	{"a scan has each row of all realms, whole", scanWhole},
	{"a scan goes on while sessions come and go", scanWhileChanging},
	{"a scan begins at no other cursor than its own", scanCursors},
	{"realms are those that have rows or cutoffs", scanRealms},
	{"a cancelled context does no work", cancelled},
	{"a closed store says so", closed},
	{"closing waits for who is inside", closedUnderLoad},
	{"each field of a cutoff survives a round trip", cutoffsRoundTrip},
	{"cutoffs are oldest first", cutoffsOldestFirst},
	{"cutoffs of one time are each kept once", cutoffsOfOneTime},
	{"a cutoff stays in its realm", cutoffsOfRealms},
	{"a dropped cutoff is gone, and may be dropped again", cutoffsDrop},
	{"any text is in a cutoff", cutoffsOfHostileText},
	{"a cutoff that names nothing is not kept", cutoffsOfAll},
	{"a cutoff and the rows leave each other alone", cutoffsKeepRows},
	{"cutoffs are not aliased", cutoffsAreNotAliased},
	{"a cancelled context does no work on cutoffs", cutoffsCancelled},
	{"a closed store says so of cutoffs", cutoffsClosed},
	{"a session that begins has the store's times", beginsNow},
	{"what begins and what is cut off are in order in one millisecond", orderInOneMillisecond},
	{"what begins and what is cut off are in order while the clock is set back", orderWhileTheClockIsSetBack},
	{"what begins is after all cutoffs", orderOfManyCutoffs},
	{"what is copied has its place in the order", orderOfCopies},
	{"a place in the order is no time", orderAheadOfTheClock},
	{"many who begin and cut off at once keep their order", orderContended},
}

// epoch is when the suite begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

// A clock stands still until it is set.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) set(t time.Time)         { c.at.Store(t.UnixNano()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// A suite is one check at work.
type suite struct {
	*testing.T
	store sessions.Store
	clock *clock
}

const realm = "https://app.example.com"

// session returns a row of the user's own, created now, that lives a day and
// idles an hour.
func (s *suite) session(id, user string) sessions.Session {
	now := s.store.Now()
	return sessions.Session{
		Realm: realm, ID: id, UserID: user, ClientID: "app", KeyID: "key",
		Actor:     sessions.Principal{Issuer: "https://idp.example.com", Subject: user},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: time.Hour,
	}
}

// impersonation returns a session of the user that somebody else made.
func (s *suite) impersonation(id, user, actor string) sessions.Session {
	row := s.session(id, user)
	row.Impersonation, row.Actor.Subject = true, actor
	return row
}

// must stops the check at an error.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// create stores a row that is not there.
func (s *suite) create(row sessions.Session) sessions.Session {
	s.Helper()
	stored, created, _, err := s.store.Create(s.Context(), row)
	s.must(err)
	if !created {
		s.Fatalf("%q existed", row.ID)
	}
	return stored
}

func (s *suite) get(key sessions.Key) sessions.Session {
	s.Helper()
	row, err := s.store.Get(s.Context(), key)
	if err != nil {
		s.Fatalf("getting %q: %v", key.ID, err)
	}
	return row
}

func (s *suite) update(key sessions.Key, change func(*sessions.Session)) sessions.Session {
	s.Helper()
	row, err := s.store.Update(s.Context(), key, func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		change(&row)
		return row, true
	})
	s.must(err)
	return row
}

func (s *suite) revoke(key sessions.Key) {
	s.Helper()
	s.update(key, func(row *sessions.Session) {
		row.RevokedAt, row.EndReason = s.store.Now(), sessions.EndRevoked
	})
}

// list returns the ids of all pages.
func (s *suite) list(query sessions.Query) []string {
	s.Helper()
	ids := []string{}
	for _, row := range s.rows(query) {
		ids = append(ids, row.ID)
	}
	return ids
}

// rows returns all pages.
func (s *suite) rows(query sessions.Query) []sessions.Session {
	s.Helper()
	var rows []sessions.Session
	if query.Limit == 0 {
		query.Limit = 3
	}
	for range 1000 {
		page, err := s.store.List(s.Context(), query)
		s.must(err)
		if len(page.Sessions) > query.Limit {
			s.Fatalf("page has %d rows, of at most %d", len(page.Sessions), query.Limit)
		}
		rows = append(rows, page.Sessions...)
		if query.Cursor = page.Next; page.Next == "" {
			return rows
		}
	}
	s.Fatal("paging does not end")
	return nil
}

func (s *suite) wantList(query sessions.Query, want ...string) {
	s.Helper()
	if got := s.list(query); !equal(got, want) {
		s.Errorf("%s lists %q, not %q", show(query), got, want)
	}
}

func (s *suite) wantAbsent(key sessions.Key) {
	s.Helper()
	if _, err := s.store.Get(s.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
		s.Errorf("getting %q: %v, not ErrNotFound", key.ID, err)
	}
}

func (s *suite) wantRow(got, want sessions.Session) {
	s.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			s.Errorf("%s is %#v, not %#v", g.Type().Field(i).Name, a, b)
		}
	}
}

func (s *suite) sweep(limit int) int {
	s.Helper()
	n, err := s.store.Sweep(s.Context(), limit, nil)
	s.must(err)
	return n
}

// close closes the store, if it can be.
func (s *suite) close() {
	closer, ok := s.store.(io.Closer)
	if !ok {
		s.Skip("the store has no Close")
	}
	s.must(closer.Close())
}

// wantErrors expects that each error is all of these.
func (s *suite) wantErrors(got map[string]error, want ...error) {
	s.Helper()
	for name, err := range got {
		for _, w := range want {
			if !errors.Is(err, w) {
				s.Errorf("%s: %v, not %v", name, err, w)
			}
		}
	}
}

// together runs n functions at once and waits for them.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

func equal(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

func show(q sessions.Query) string {
	text := fmt.Sprintf("realm %q user %q", q.Realm, q.User)
	if q.Actor != nil {
		text += fmt.Sprintf(" actor %q", q.Actor.Subject)
	}
	if q.Impersonations != nil {
		text += fmt.Sprintf(" impersonations %t", *q.Impersonations)
	}
	return text
}

// everything calls each method that takes a context, and returns the errors.
func (s *suite) everything(ctx context.Context, key sessions.Key) map[string]error {
	row := s.session("another", "alice")
	_, _, _, create := s.store.Create(ctx, row)
	_, get := s.store.Get(ctx, key)
	_, update := s.store.Update(ctx, key, func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		row.Generation++
		return row, true
	})
	_, list := s.store.List(ctx, sessions.Query{Realm: realm, User: "alice", Limit: 1})
	_, sweep := s.store.Sweep(ctx, 1, nil)
	all := map[string]error{"Create": create, "Get": get, "Update": update, "List": list, "Sweep": sweep}
	maps.Copy(all, s.everyExtra(ctx))
	return all
}

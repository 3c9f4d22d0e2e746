package storetest

import (
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
)

// A Part is what a store can do besides sessions.Store.
type Part string

// The parts of a store.
const (
	Revocation Part = "revocation.Store"
	Logout     Part = "logout.Store"
	Admin      Part = "sessions.AdminStore"
	Close      Part = "io.Closer" // Close may be called twice
)

// has reports whether the store implements the part.
func (p Part) has(store sessions.Store) (ok bool) {
	switch p {
	case Revocation:
		_, ok = sessions.As[revocation.Store](store)
	case Logout:
		_, ok = sessions.As[logout.Store](store)
	case Admin:
		_, ok = sessions.As[sessions.AdminStore](store)
	case Close:
		_, ok = sessions.As[io.Closer](store)
	}
	return ok
}

// Run proves the contract of a store. newStore opens an empty one whose clock is now, and
// closes it at the end of the test; several are open at once. A store implements every
// Part, but those that are named: what is missing without being named, or named without
// being missing, fails the test.
func Run(t *testing.T, newStore func(t *testing.T, now func() time.Time) sessions.Store, without ...Part) {
	t.Run("the store implements what it should", func(t *testing.T) {
		store := newStore(t, time.Now) //nolint:forbidigo // nothing is timed
		for _, part := range []Part{Revocation, Logout, Admin, Close} {
			switch named := slices.Contains(without, part); {
			case !part.has(store) && !named:
				t.Error(missing(store, part))
			case part.has(store) && named:
				t.Errorf("%T implements %s: do not name it to Run", store, part)
			}
		}
	})
	for _, check := range checks {
		if slices.ContainsFunc(check.needs, func(part Part) bool { return slices.Contains(without, part) }) {
			continue
		}
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			store := newStore(t, clock.Now)
			for _, part := range check.needs {
				if !part.has(store) {
					t.Fatal(missing(store, part))
				}
			}
			check.run(&suite{T: t, store: store, clock: clock})
		})
	}
}

func missing(store sessions.Store, part Part) string {
	return fmt.Sprintf("%T does not implement %s: implement it, or say so to Run", store, part)
}

var checks = []struct {
	name  string
	run   func(*suite)
	needs []Part
}{
	{"an absent session is not found", absence, nil},
	{"a session is created once", createOnce, nil},
	{"of many who create the same session one does", createContended, nil},
	{"the id of a revoked session stays taken until it is swept", createAfterEnd, nil},
	{"an update is stored", update, nil},
	{"no update is lost", updateContended, nil},
	{"refreshes at once are as if one after the other", linearizable, nil},
	{"a transition that does not write changes nothing", updateWithoutWrite, nil},
	{"the store's clock is UTC in milliseconds", clockIsMilliseconds, nil},
	{"each field survives a round trip", roundTrip, nil},
	{"each field survives an update", roundTripUpdate, nil},
	{"rows are not aliased", aliasing, nil},
	{"any text is a realm, an id and a user", hostileText, nil},
	{"the same id in two realms is two sessions", realmsOfKeys, nil},
	{"a listing stays in its realm", realmsOfListings, nil},
	{"a listing is newest first, and ties go by id", listOrder, nil},
	{"a listing selects by user, actor and kind", listSelects, nil},
	{"pages cover a listing once", listPages, nil},
	{"paging goes on while sessions come and go", listPagesWhileChanging, nil},
	{"keys alone are the same listing", listKeysOnly, nil},
	{"a revoked session leaves every listing", listRevoked, nil},
	{"a text that is no cursor is refused", badCursor, nil},
	{"a cursor of another query leaks nothing", foreignCursor, nil},
	{"a sweep deletes what is due and nothing else", sweepDue, nil},
	{"a sweep keeps to its limit and gets on", sweepLimit, nil},
	{"a session used since is not swept", sweepUsed, nil},
	{"a revoked session is swept sooner", sweepRevoked, nil},
	{"sweeps at once delete each session once", sweepContended, nil},
	{"a session used during a sweep is whole or gone", sweepRace, nil},
	{"a pending session lives once it is opened", pendingOpened, nil},
	{"a pending session that nobody opens is swept", pendingSwept, nil},
	{"of many who open a pending session one does", pendingContended, nil},
	{"a swept session can be created again", createAfterSweep, nil},
	{"a session is counted with all others of its user and kind", countAtLeast, nil},
	{"no end of a session is counted twice", countAfterEnds, nil},
	{"sessions that are created at once are all counted", countContended, nil},
	{"what was revoked is reported, of all realms, once swept too", revocationsAreReported, []Part{Revocation}},
	{"what was revoked is reported from a time on", revokedSince, []Part{Revocation}},
	{"what was revoked is reported as long as a token may live", revokedMemory, []Part{Revocation}},
	{"a session that is copied is reported with its revocation", revokedCopied, []Part{Revocation}},
	{"a sweep reports each session that expired", sweepReports, nil},
	{"a scan has each row of all realms, whole", scanWhole, []Part{Admin}},
	{"a scan goes on while sessions come and go", scanWhileChanging, []Part{Admin}},
	{"a scan begins at no other cursor than its own", scanCursors, []Part{Admin}},
	{"realms are those that have rows or cutoffs", scanRealms, []Part{Revocation}},
	{"a cancelled context does no work", cancelled, nil},
	{"a closed store answers no call", closed, []Part{Close}},
	{"closing waits for calls in progress", closedUnderLoad, []Part{Close}},
	{"each field of a cutoff survives a round trip", cutoffsRoundTrip, []Part{Revocation}},
	{"cutoffs are oldest first", cutoffsOldestFirst, []Part{Revocation}},
	{"cutoffs of one time are each kept once", cutoffsOfOneTime, []Part{Revocation}},
	{"a cutoff stays in its realm", cutoffsOfRealms, []Part{Revocation}},
	{"a removed cutoff is gone, and may be removed again", cutoffsDrop, []Part{Revocation}},
	{"any text is in a cutoff", cutoffsOfHostileText, []Part{Revocation}},
	{"a cutoff that names nothing is not kept", cutoffsOfAll, []Part{Revocation}},
	{"a cutoff and the rows leave each other alone", cutoffsKeepRows, []Part{Revocation}},
	{"cutoffs are not aliased", cutoffsAreNotAliased, []Part{Revocation}},
	{"a new session has the store's times", beginsNow, nil},
	{"sessions and cutoffs are in order in one millisecond", orderInOneMillisecond, []Part{Revocation}},
	{"sessions and cutoffs are in order while the clock is set back", orderWhileTheClockIsSetBack, []Part{Revocation}},
	{"a new session is after all cutoffs", orderOfManyCutoffs, []Part{Revocation}},
	{"what is copied has its place in the order", orderOfCopies, []Part{Revocation}},
	{"a place in the order is no time", orderAheadOfTheClock, []Part{Revocation}},
	{"concurrent sessions and cutoffs keep their order", orderContended, []Part{Revocation}},
	{"a session is found by the names of its caller's token", named, []Part{Logout}},
	{"a revoked session has no name any more", namedRevoked, []Part{Logout}},
	{"a session that began later has its names until it ends", namedPending, []Part{Logout}},
	{"a name is of one realm, and any text is in it", namedHostile, []Part{Logout}},
	{"many sessions have one name", namedMany, []Part{Logout}},
	{"of two marks of one name the later times stay", marksMerge, []Part{Logout}},
	{"a mark stays in its realm", marksOfRealms, []Part{Logout}},
	{"each mark of a realm is given once, until it is over", marksEach, []Part{Logout}},
	{"a realm that has marks alone is one", marksAreOfRealms, []Part{Logout, Admin}},
	{"a mark is over when its time comes", marksOver, []Part{Logout}},
	{"of a logout and a session at once one sees the other", logoutContended, []Part{Logout}},
}

// Epoch is when tests begin whose clock stands still.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

// A Clock stands still until it is set.
type Clock struct{ at atomic.Int64 }

// NewClock returns one that says Epoch.
func NewClock() *Clock {
	c := new(Clock)
	c.Set(Epoch)
	return c
}

// Now returns what the clock says.
func (c *Clock) Now() time.Time { return time.Unix(0, c.at.Load()) }

// Set sets the clock, and Advance sets it forward.
func (c *Clock) Set(t time.Time)         { c.at.Store(t.UnixNano()) }
func (c *Clock) Advance(d time.Duration) { c.at.Add(int64(d)) }

// A suite is one check at work.
type suite struct {
	*testing.T
	store sessions.Store
	clock *Clock
}

const realm = "https://app.example.com"

// session returns a row of the user's own, created now, that lives a day and
// idles an hour.
func (s *suite) session(id, user string) sessions.Session {
	now := s.store.Now()
	return sessions.Session{
		Realm: realm, ID: id, UserID: user, ClientID: "app", KeyID: "key",
		Actor:     *idp(user),
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: time.Hour,
	}
}

// idp returns somebody of the identity provider.
func idp(subject string) *sessions.Principal {
	return &sessions.Principal{Issuer: provider, Subject: subject}
}

var yes, no = new(true), new(false)

// impersonation returns a session of the user that somebody else made.
func (s *suite) impersonation(id, user, actor string) sessions.Session {
	row := s.session(id, user)
	row.Impersonation, row.Actor.Subject = true, actor
	return row
}

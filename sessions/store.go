package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Store keeps sessions. It is shared by all realms and never mixes them.
//
// Each method is atomic and linearizable for the session it names. When Create
// or Update returns without an error, the row survives a crash of the process
// and of the machine. Every error that is not one of the sentinels named at the
// method wraps ErrUnavailable: the outcome is then unknown. A cancelled context
// is answered by its own error, also wrapped in ErrUnavailable. After Close, each
// method returns ErrClosed (which is an ErrUnavailable).
//
// Every implementation passes the suite in package storetest.
type Store interface {
	// Create puts the row if no row of that key exists, and returns the row
	// that is stored now: created is false, and nothing was written, where one
	// existed already (live or not).
	//
	// count is how many rows of the same realm, user and kind (Impersonation) are stored
	// then that are not revoked, this one among them. It may be too high, since expired
	// rows count until they are swept, and never too low: math.MaxInt where the store does
	// not know. 0 where created is false.
	//
	// A row without a CreatedAt begins now: the store sets its times (Begin), by the
	// store's clock in the step that writes it, and to a place after every cutoff that
	// was added before Create was called (revocation.Store). A row that has one is a copy,
	// and is stored as it is.
	Create(ctx context.Context, row Session) (stored Session, created bool, count int, err error)

	// Get returns the row, or ErrNotFound. Ended rows are returned until swept.
	Get(ctx context.Context, key Key) (Session, error)

	// Update behaves as if fn ran once on the current row, alone with it. It
	// returns the row that is stored afterwards, or ErrNotFound without a call
	// of fn where there is none.
	Update(ctx context.Context, key Key, fn Transition) (Session, error)

	// List returns a page of rows that are not revoked, newest first (by
	// CreatedAt, then ID, both descending). A row leaves every listing, KeysOnly
	// too, with the Update that sets its RevokedAt, so that what was ended costs
	// nobody time. Rows that came to their end are listed until swept. Rows that
	// are created, revoked or swept while somebody pages are seen or not; every
	// other matching row is seen exactly once.
	List(ctx context.Context, query Query) (Page, error)

	// Sweep deletes at most limit rows whose PurgeAt is not after the store's
	// clock, of all realms, and returns how many it deleted. Fewer than limit
	// means that nothing is due any more. Running several at once is safe. Where
	// over is not nil it is called, after the deletion is durable, for each row that
	// came to its end without being revoked: with Realm and ID at least, and what
	// else the engine has at hand.
	Sweep(ctx context.Context, limit int, over func(*Session)) (deleted int, err error)

	// Now is the store's clock, by which all transitions are timed. It does no
	// I/O: UTC, in whole milliseconds.
	Now() time.Time
}

// A Transition decides what becomes of a row. It is pure and may run more than
// once; now is the store's clock. Where write is false, next is ignored and
// nothing is stored. It never changes the fields that an index is made of:
// Realm, ID, UserID, Impersonation, Actor, ActorSub, ActorSID, CreatedAt.
type Transition func(row Session, now time.Time) (next Session, write bool)

// A Query selects rows of one realm. At least one of User, Actor and
// Impersonations is set; where several are, a row must match all.
type Query struct {
	Realm string
	// User selects the sessions of this user id.
	User string
	// Actor selects the impersonations by this caller. Own sessions have no
	// actor but the user, and are not found by it.
	Actor *Principal
	// Impersonations selects by kind: nil for both.
	Impersonations *bool
	// Cursor is the Next of the page before, or "" for the first page. One that
	// cannot be read is ErrBadCursor.
	Cursor string
	// Limit is the most rows in a page, at least 1.
	Limit int
	// KeysOnly asks for rows that have only Realm, ID and CreatedAt (and what
	// else the engine has at hand): cheaper, for counting.
	KeysOnly bool
}

// A Page is a part of a listing.
type Page struct {
	Sessions []Session
	// Next is the cursor of the page after this one; "" means that this is the
	// last. It holds no secret, but is opaque to callers.
	Next string
}

// The interfaces below are what a Store can do besides; none of them is asked for.
// As finds them.

// As returns the first of the store, and of the stores that it wraps (Unwrap),
// that is a T.
func As[T any](store Store) (T, bool) {
	for {
		if t, ok := store.(T); ok {
			return t, true
		}
		wrapper, ok := store.(interface{ Unwrap() Store })
		if !ok {
			var none T
			return none, false
		}
		store = wrapper.Unwrap()
	}
}

// A Rotator is a Store that does the common transitions in one round trip. Both
// behave as Update does with the transition they name, and are timed by the store's
// clock.
type Rotator interface {
	// Rotate is Rotation.Present where the token is the live one: if the row is
	// live, of p's user and client, and of p's generation and secret, the next
	// generation is stored and returned, with the time of the transition, and
	// rotated is true. Else nothing was written, rotated is false, and Update is to
	// decide; that there is no row is no error. The policy is asked afterwards.
	Rotate(ctx context.Context, p *Presented, fresh *Fresh) (row Session, at time.Time, rotated bool, err error)

	// Revoke ends the row for that reason unless it is revoked already, and returns
	// the row that is stored now. ended reports whether this call did it. ErrNotFound
	// where there is no row.
	Revoke(ctx context.Context, key Key, reason EndReason) (row Session, ended bool, err error)
}

// An AdminStore is a Store that the tools of operators can check and copy.
type AdminStore interface {
	// Ping returns nil where the store reads and writes, or an error that wraps
	// ErrUnavailable. A Store without it is asked for a session that does not exist.
	Ping(ctx context.Context) error
	// Scan returns a page of the rows of all realms, revoked ones too, in an order
	// of its own that does not change. Rows that are created meanwhile are seen or
	// not. Cursor and Next are as in List.
	Scan(ctx context.Context, cursor string, limit int) (Page, error)
	// Realms returns the realms that have rows, cutoffs or marks of logouts.
	Realms(ctx context.Context) ([]string, error)
}

// Revocations is what a Manager needs of package revocation, whose Watcher implements it:
// what was revoked, in memory, and the bulk revocations (cutoffs) of a store.
type Revocations interface {
	// Remember makes the access tokens of a row stop working where it was revoked.
	Remember(row *Session)
	// Revoked reports whether the session of an access token was revoked. An error wraps
	// ErrUnavailable: that is unknown.
	Revoked(ctx context.Context, r Ref) (bool, error)
	// RevokedByCutoff reports whether a cutoff revoked the session. It does no I/O.
	RevokedByCutoff(r Ref) bool
	// RevokedUntil returns the latest time up to which everything that the filter selects
	// is revoked by a cutoff; zero where no cutoff covers the filter. It does no I/O.
	RevokedUntil(realm string, f *Filter) time.Time
	// KeepsCutoffs reports whether the store keeps cutoffs.
	KeepsCutoffs() bool
	// AddCutoff revokes what the filter selects, on behalf of by: the cutoff is durable, and
	// in force, when it returns. Revoking the rows is left to others.
	AddCutoff(ctx context.Context, realm string, f Filter, by Principal) error
}

// askStore is the Revocations of a Manager that has none: it remembers nothing.
type askStore struct{ Store }

// Remember does nothing.
func (askStore) Remember(*Session) {}

// Revoked reads the row.
func (a askStore) Revoked(ctx context.Context, r Ref) (bool, error) {
	row, err := a.Get(ctx, r.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading session: %w", err)
	default:
		return !row.RevokedAt.IsZero(), nil
	}
}

// RevokedByCutoff reports false: there are no cutoffs.
func (askStore) RevokedByCutoff(Ref) bool { return false }

// RevokedUntil returns zero: there are no cutoffs.
func (askStore) RevokedUntil(string, *Filter) time.Time { return time.Time{} }

// KeepsCutoffs reports false.
func (askStore) KeepsCutoffs() bool { return false }

// AddCutoff is never called.
func (askStore) AddCutoff(context.Context, string, Filter, Principal) error {
	return fmt.Errorf("%w: cutoffs need Manager.Revocations", ErrUnavailable)
}

package sessions

import (
	"context"
	"time"
)

// A Store stores sessions. All realms share it, and it keeps them apart.
//
// Each method is atomic and linearizable for the session it names. When Create or Update returns
// without an error, the row survives a crash of the process and of the machine. Every error other
// than the sentinels named at the method wraps ErrUnavailable: the outcome is then unknown. If the
// context is cancelled, the error wraps the context's error and ErrUnavailable. After Close, each
// method returns ErrClosed (which wraps ErrUnavailable).
//
// Every implementation passes the test suite in package storetest.
type Store interface {
	// Create inserts the row unless its key exists, and returns the stored row. created is false,
	// and nothing was written, if the key existed, live or not.
	//
	// count is the number of unrevoked rows of the same realm, user and kind (Impersonation),
	// including this one. It may be too high, since expired rows count until they are swept, but
	// never too low; it is math.MaxInt if the store does not know, and 0 if created is false.
	//
	// A row without a CreatedAt begins now: in the step that writes it, the store sets its times
	// (Begin) by the store's clock, at a position after every cutoff that was added before Create
	// was called (revocation.Store). A row with a CreatedAt is a copy and is stored unchanged.
	Create(ctx context.Context, row Session) (stored Session, created bool, count int, err error)

	// Get returns the row, or ErrNotFound. Revoked and expired rows are returned until they are
	// swept.
	Get(ctx context.Context, key Key) (Session, error)

	// Update runs fn on the current row as if no other writer existed, and returns the row that is
	// stored afterwards. If there is no row, it returns ErrNotFound without calling fn.
	Update(ctx context.Context, key Key, fn Transition) (Session, error)

	// List returns a page of rows that are not revoked, newest first (by CreatedAt, then ID, both
	// descending). The Update that sets a row's RevokedAt removes it from every listing, including
	// KeysOnly, so that revoked rows cost nothing. Expired rows are listed until they are swept.
	// Rows that are created, revoked or swept while a client reads pages may or may not be seen;
	// every other matching row is seen exactly once.
	List(ctx context.Context, query Query) (Page, error)

	// Sweep deletes at most limit rows, of all realms, whose PurgeAt is not after the store's
	// clock, and returns how many it deleted. Fewer than limit means that no more are due.
	// Concurrent calls are safe. If over is not nil, it is called, after the deletion is durable,
	// for each row that expired without being revoked: with Realm and ID at least, and whatever
	// else the engine has at hand.
	Sweep(ctx context.Context, limit int, over func(*Session)) (deleted int, err error)

	// Now returns the time of the store's clock, which times all transitions: UTC, in whole
	// milliseconds. It does no I/O.
	Now() time.Time
}

// A Transition decides the next state of a row. It is pure and may run more than once; now is the
// store's clock. If write is false, next is ignored and nothing is stored. It never changes an
// indexed field: Realm, ID, UserID, Impersonation, Actor, ActorSub, ActorSID, CreatedAt.
type Transition func(row Session, now time.Time) (next Session, write bool)

// A Query selects rows of one realm. At least one of User, Actor and Impersonations is set; a row
// must match all that are set.
type Query struct {
	Realm string
	// User selects the sessions for this user id.
	User string
	// Actor selects the impersonations by this caller. It does not select own sessions.
	Actor *Principal
	// Impersonations selects by kind: nil for both.
	Impersonations *bool
	// Cursor is the Next of the previous page, or "" for the first. An invalid cursor gives
	// ErrBadCursor.
	Cursor string
	// Limit is the maximum number of rows in a page, at least 1.
	Limit int
	// KeysOnly asks for rows with only Realm, ID and CreatedAt (and whatever else the engine has at
	// hand), which is cheaper.
	KeysOnly bool
}

// A Page is a page of a listing.
type Page struct {
	Sessions []Session
	// Next is the cursor of the next page; "" on the last. It is opaque and contains no secret.
	Next string
}

// The interfaces below are optional for a Store. As finds them.

// As returns the store, or the first store that it wraps (Unwrap), that implements T.
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

// A Rotator is a Store that performs the common transitions in one round trip. Both behave like
// Update with the transition they name, timed by the store's clock.
type Rotator interface {
	// Rotate is Rotation.Present for the live token. If the row is live and has p's user, client,
	// generation and secret, the next generation is stored and returned with the time of the
	// transition, and rotated is true. Otherwise nothing is written, rotated is false, and the
	// caller uses Update; a missing row is not an error. The policy is applied afterwards.
	Rotate(ctx context.Context, p *Presented, fresh *Fresh) (row Session, at time.Time, rotated bool, err error)

	// Revoke revokes the row for that reason unless it is revoked already, and returns the stored
	// row. ended reports whether this call revoked it. If there is no row, it returns ErrNotFound.
	Revoke(ctx context.Context, key Key, reason EndReason) (row Session, ended bool, err error)
}

// An AdminStore is a Store that operators' tools can check and copy.
type AdminStore interface {
	// Ping returns nil if the store can read and write, or an error that wraps ErrUnavailable. (To
	// check a store without Ping, a session that does not exist is read.)
	Ping(ctx context.Context) error
	// Scan returns a page of the rows of all realms, including revoked ones, in a fixed order of
	// its own. Rows that are created meanwhile may or may not be seen. Cursor and Next are as in
	// List.
	Scan(ctx context.Context, cursor string, limit int) (Page, error)
	// Realms returns the realms that have rows, cutoffs or marks of logouts.
	Realms(ctx context.Context) ([]string, error)
}

// Revocations is what a Manager needs of package revocation, where Watcher implements it: what was
// revoked, in memory, and the bulk revocations (cutoffs) of a store.
type Revocations interface {
	// Remember makes the access tokens of a row invalid if it was revoked.
	Remember(row *Session)
	// Revoked reports whether the session of an access token was revoked. An error wraps
	// ErrUnavailable and means that it is unknown.
	Revoked(ctx context.Context, r Ref) (bool, error)
	// RevokedByCutoff reports whether a cutoff revoked the session. It does no I/O.
	RevokedByCutoff(r Ref) bool
	// RevokedUntil returns the latest time up to which a cutoff revokes everything that the filter
	// selects; zero if no cutoff covers the filter. It does no I/O.
	RevokedUntil(realm string, f *Filter) time.Time
	// KeepsCutoffs reports whether the store keeps cutoffs.
	KeepsCutoffs() bool
	// AddCutoff revokes everything that the filter selects, on behalf of by. When it returns, the
	// cutoff is durable and in force. The rows are revoked later, by others.
	AddCutoff(ctx context.Context, realm string, f Filter, by Principal) error
}

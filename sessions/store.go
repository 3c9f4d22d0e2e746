package sessions

import (
	"context"
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
// Realm, ID, UserID, Impersonation, Actor, CreatedAt.
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

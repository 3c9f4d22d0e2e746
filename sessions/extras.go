package sessions

import (
	"context"
	"time"
)

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
	// the row that is stored now. ended tells whether this call did it. ErrNotFound
	// where there is no row.
	Revoke(ctx context.Context, key Key, reason EndReason) (row Session, ended bool, err error)
}

// A CountingStore is a Store that counts while it creates.
type CountingStore interface {
	// CreateCounted is Create. count is how many rows of the same realm, user and
	// kind (Impersonation) are stored now that are not revoked, this one among them,
	// or more than that: what is over but not swept may count, and what is counted
	// may be an estimate that is too high, never one that is too low. It is
	// meaningless where created is false.
	CreateCounted(ctx context.Context, row Session) (stored Session, created bool, count int, err error)
}

// A Scanner is a Store that can be read whole, to copy it.
type Scanner interface {
	// Scan returns a page of the rows of all realms, revoked ones too, in an order
	// of its own that does not change. Rows that are created meanwhile are seen or
	// not. Cursor and Next are as in List.
	Scan(ctx context.Context, cursor string, limit int) (Page, error)
	// Realms returns the realms that have rows or cutoffs.
	Realms(ctx context.Context) ([]string, error)
}

// A Checkpointer is a Store that makes a consistent copy of itself while it serves.
type Checkpointer interface {
	// Checkpoint makes the copy in dir, which must not exist. It holds everything
	// that was acknowledged before the call.
	Checkpoint(ctx context.Context, dir string) error
}

// A Pinger is a Store that can tell whether it answers, for readiness. A Store that
// is none is asked for a session that does not exist.
type Pinger interface {
	// Ping returns nil, or an error that wraps ErrUnavailable.
	Ping(ctx context.Context) error
}

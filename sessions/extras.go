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
	// Realms returns the realms that have rows or cutoffs.
	Realms(ctx context.Context) ([]string, error)
}

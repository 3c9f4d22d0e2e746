package logout

import (
	"context"
	"time"

	"authsidecar/sessions"
)

// Store is an optional interface of a sessions.Store, for logouts. Its errors are those of
// sessions.Store.
type Store interface {
	// Named passes to page all unrevoked rows of the realm with that name (Names), at most MaxRows
	// at a time, each row once, in any order. It includes every row whose Create returned before
	// Named was called, unless it is revoked or swept meanwhile. page may call the store. If page
	// returns an error, Named returns it unchanged.
	Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error

	// Mark stores marks of the realm. If a mark with the same name exists, the later At and the
	// later Until are kept. The marks survive a crash once Mark has returned.
	Mark(ctx context.Context, realm string, marks []Mark) error

	// Marks returns the marks of the realm with these names that are not over, in any order,
	// including each that a Mark has stored before Marks was called. Marks that are over are
	// deleted by Sweep, or by the engine.
	Marks(ctx context.Context, realm string, names []string) ([]Mark, error)

	// EachMark passes to page all marks of the realm that are not over, at most MaxRows at a time,
	// each once, in any order, including each that a Mark has stored before EachMark was called. It
	// is for copying a store. If page returns an error, EachMark returns it unchanged.
	EachMark(ctx context.Context, realm string, page func([]Mark) error) error
}

// MaxRows is how many rows or marks are passed at a time: a principal may have any number.
const MaxRows = 500

// A Mark records that what its name stands for was over at a time, at the issuer.
type Mark struct {
	Name string
	// At is that time, by the issuer's clock. Both times are UTC, in whole milliseconds.
	At time.Time
	// Until is when the mark expires, by the store's clock.
	Until time.Time
}

// Over reports whether the mark has expired at now.
func (m *Mark) Over(now time.Time) bool { return !now.Before(m.Until) }

// Merge returns what to store if both have the same name.
func (m Mark) Merge(other Mark) Mark {
	if other.At.After(m.At) {
		m.At = other.At
	}
	if other.Until.After(m.Until) {
		m.Until = other.Until
	}
	return m
}

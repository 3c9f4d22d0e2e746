package logout

import (
	"context"
	"time"

	"authsidecar/sessions"
)

// Store is what a sessions.Store implements besides to take part in logouts. Errors are those
// of sessions.Store.
type Store interface {
	// Named gives page the rows of the realm that are not revoked and have that name (Names),
	// at most MostRows at a time, each row once, in any order: each of them whose Create
	// returned before Named was called, unless it is revoked or swept meanwhile. page may
	// call the store. Its error ends Named and is returned as it is.
	Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error

	// Mark stores marks of the realm. Where there is one of that name, the later At and the
	// later Until stay. They survive a crash when Mark returns.
	Mark(ctx context.Context, realm string, marks []Mark) error

	// Marks returns the marks of the realm that have one of the names and are not over, in any
	// order: each that Mark returned of before Marks was called. What is over is deleted by
	// Sweep, or by the engine.
	Marks(ctx context.Context, realm string, names []string) ([]Mark, error)

	// EachMark gives page all marks of the realm that are not over, at most MostRows at a time,
	// each once, in any order: each that Mark returned of before EachMark was called. It is
	// for who copies a store. The error of page ends it and is returned as it is.
	EachMark(ctx context.Context, realm string, page func([]Mark) error) error
}

// MostRows is how many rows, or marks, are given at a time: one principal may have any number.
const MostRows = 500

// A Mark says that what its name stands for ended at a time, at the issuer.
type Mark struct {
	Name string
	// At is when, by the issuer's clock: UTC, in whole milliseconds, as Until.
	At time.Time
	// Until is when the mark is over, by the store's clock.
	Until time.Time
}

// Over reports whether the mark is over at now.
func (m *Mark) Over(now time.Time) bool { return !now.Before(m.Until) }

// Merge returns what is stored where both have one name.
func (m Mark) Merge(other Mark) Mark {
	if other.At.After(m.At) {
		m.At = other.At
	}
	if other.Until.After(m.Until) {
		m.Until = other.Until
	}
	return m
}

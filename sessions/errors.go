package sessions

import (
	"errors"
	"fmt"
)

// Errors of stores.
var (
	// ErrNotFound means that no row of that key is stored.
	ErrNotFound = errors.New("session not found")
	// ErrUnavailable means that the store did not answer, or that nobody knows
	// whether it did what it was asked to. Callers answer 503.
	ErrUnavailable = errors.New("session store unavailable")
	// ErrClosed means that the store was closed, as on a reload that moves it.
	ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)
	// ErrNewerRow means that a row was written by a newer release in a format
	// that this one does not know.
	ErrNewerRow = fmt.Errorf("%w: row written by a newer release", ErrUnavailable)
	// ErrBadCursor means that a cursor is none of ours.
	ErrBadCursor = errors.New("cursor cannot be read")
)

package pebblestore

import (
	"context"
	"errors"
	"time"

	"authsidecar/sessions"
)

// Store is a sessions.Store in one directory of this machine.
type Store struct{ now func() time.Time }

// Open opens the store, or makes one in an empty or absent directory.
func Open(opts Options) (*Store, error) { return nil, errors.New("not built yet") }

// Close waits for operations in flight and closes the store.
func (s *Store) Close() error { return nil }

// Create puts the row if no row of that key exists.
func (s *Store) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, error) {
	return sessions.Session{}, false, sessions.ErrUnavailable
}

// Get returns the row, or sessions.ErrNotFound.
func (s *Store) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	return sessions.Session{}, sessions.ErrUnavailable
}

// Update runs fn on the row and stores what it returns.
func (s *Store) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	return sessions.Session{}, sessions.ErrUnavailable
}

// List returns a page of the rows that match.
func (s *Store) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	return sessions.Page{}, sessions.ErrUnavailable
}

// Sweep deletes rows that are due.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	return 0, sessions.ErrUnavailable
}

// Now is the store's clock.
func (s *Store) Now() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// Interface guards
var _ sessions.Store = (*Store)(nil)

package redisstore

import (
	"context"
	"math/rand/v2"
	"sync/atomic"

	"authsidecar/sessions"
)

// Create puts the row if no row of that key exists.
func (s *Store) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, err error) {
	stored, created, _, err = s.put(ctx, &row)
	return stored, created, err
}

// CreateCounted is Create, and counts the user's sessions of that kind that are not
// swept, this one among them.
func (s *Store) CreateCounted(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	return s.put(ctx, &row)
}

func (s *Store) put(ctx context.Context, row *sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	if err := s.enter(ctx); err != nil {
		return stored, false, 0, err
	}
	defer s.leave()
	w, err := encode(row)
	if err != nil {
		return stored, false, 0, err
	}
	m := newMark(&w.row, rand.Uint64()) //nolint:gosec // no secret: it tells a row from one that had its name before
	if !s.whole() {
		if count, err = s.spread(ctx, m, &w.row); err != nil {
			return stored, false, 0, err
		}
	}
	args := w.fields([]string{string(m), millis(w.row.PurgeAt()), revoked(&w.row)})
	r, err := s.run(ctx, s.lua.create, s.keys.row(m.label()), args...)
	if err != nil {
		return stored, false, 0, err
	}
	if created, counted := r.int() == 1, r.int(); created {
		if s.whole() {
			count = int(counted) + 1
		}
		return w.row, true, count, s.logged(ctx, m, &w.row)
	}
	old, err := readRow(w.row.Key(), r.list())
	if err == nil && !s.whole() {
		// Ours came to nothing; what it left in the indexes leads nowhere, and a
		// sweep finds it.
		_ = s.gather(ctx, m)
	}
	return old.row, false, 0, err
}

// spread puts the row into the indexes of a cluster, before it is there itself: what
// exists is listed.
func (s *Store) spread(ctx context.Context, m mark, row *sessions.Session) (count int, err error) {
	var counted atomic.Int64
	part := shard(m.label(), s.shards)
	calls := []func(context.Context) error{
		s.quietly(s.lua.add, s.keys.all(part), string(m)),
		s.quietly(s.lua.sooner, s.keys.due(part), string(m), millis(row.PurgeAt())),
	}
	if row.RevokedAt.IsZero() {
		for i, key := range s.keys.listings(m) {
			calls = append(calls, func(ctx context.Context) error {
				r, err := s.runNow(ctx, s.lua.add, key, m.entry())
				if err == nil && i == 0 { // of the user
					counted.Store(r.int())
				}
				return err
			})
		}
	}
	err = together(ctx, calls)
	return int(counted.Load()), err
}

// gather takes a row out of all indexes.
func (s *Store) gather(ctx context.Context, m mark) error {
	part := shard(m.label(), s.shards)
	calls := append(s.unlisting(m), s.quietly(s.lua.remove, s.keys.all(part), string(m)))
	if err := together(ctx, calls); err != nil {
		return err
	}
	// Last, since a sweep finds the others by it.
	return s.quietly(s.lua.remove, s.keys.due(part), string(m))(ctx)
}

func (s *Store) unlisting(m mark) (calls []func(context.Context) error) {
	for _, key := range s.keys.listings(m) {
		calls = append(calls, s.quietly(s.lua.remove, key, m.entry()))
	}
	return calls
}

// logged remembers, in a cluster, that the row was ended, and takes it out of the
// listings. On a single server its script did.
func (s *Store) logged(ctx context.Context, m mark, row *sessions.Session) error {
	if s.whole() || row.RevokedAt.IsZero() {
		return nil
	}
	part := shard(m.label(), s.shards)
	return together(ctx, append(s.unlisting(m),
		s.quietly(s.lua.log, s.keys.log(part), m.label(), revoked(row)),
		s.quietly(s.lua.sooner, s.keys.due(part), string(m), millis(row.PurgeAt()))))
}

// Interface guards
var _ sessions.CountingStore = (*Store)(nil)

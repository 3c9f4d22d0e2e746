package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
)

// Create puts the row if no row of that key exists, and counts the user's sessions of that
// kind that are not swept.
func (s *Store) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return stored, false, 0, err
	}
	defer s.gate.Leave()
	begins := row.CreatedAt.IsZero()
	if begins {
		now := s.Now()
		row.Begin(now, now)
	}
	w, err := encode(&row)
	if err != nil {
		return stored, false, 0, err
	}
	m, began := newMark(&w.Session, nonce()), ""
	if s.whole() && begins {
		began = millis(w.Session.CreatedAt)
	} else if !s.whole() {
		if m, count, err = s.prepare(ctx, m, w, begins); err != nil {
			return stored, false, 0, err
		}
	}
	if err := s.name(ctx, &w.Session); err != nil {
		return stored, false, 0, err
	}
	args := w.fields([]string{string(m), millis(w.Session.PurgeAt()), revoked(&w.Session), began})
	r, err := s.run(ctx, s.lua.create, s.keys.row(m.label()), args...)
	if err != nil {
		return stored, false, 0, err
	}
	if created, counted := r.int() == 1, r.int(); !created {
		stored, err := s.instead(ctx, m, r)
		return stored, false, 0, err
	} else if s.whole() {
		count = int(counted) + 1
	}
	if began != "" {
		w.Session.Begin(r.at, r.time())
	}
	return w.Session, true, count, errors.Join(r.err, s.logged(ctx, m, &w.Session))
}

// instead reads the row that was there already.
func (s *Store) instead(ctx context.Context, m mark, r *reader) (sessions.Session, error) {
	old, err := readRow(m.key(), r.list())
	if err == nil && !s.whole() {
		// Ours came to nothing; what it left in the indexes leads nowhere, and a
		// sweep finds it.
		_ = s.gather(ctx, m)
	}
	return old.row, err
}

func nonce() uint64 {
	return rand.Uint64() //nolint:gosec // no secret: it distinguishes a row from one that had its key before
}

// prepare spreads a row in a cluster. What begins has the time of the server that this
// node estimates: where a cutoff was added after that, the row gets a place after it, and
// other entries.
func (s *Store) prepare(ctx context.Context, m mark, w *storedRow, begins bool) (_ mark, count int, err error) {
	var newest time.Time
	calls := []func(context.Context) error{
		func(ctx context.Context) (err error) { count, err = s.spread(ctx, m, &w.Session); return err },
	}
	if begins {
		calls = append(calls, func(ctx context.Context) (err error) { newest, err = s.newestCutoff(ctx); return err })
	}
	err = together(ctx, calls)
	if err != nil || newest.Before(w.Session.CreatedAt) || !begins {
		return m, count, err
	}
	if err := s.gather(ctx, m); err != nil {
		return m, 0, err
	}
	w.Session.Begin(w.Session.RotatedAt, newest.Add(time.Millisecond))
	m = newMark(&w.Session, nonce())
	count, err = s.spread(ctx, m, &w.Session)
	return m, count, err
}

// newestCutoff is the place of the newest cutoff that was added yet, in any realm.
func (s *Store) newestCutoff(ctx context.Context) (time.Time, error) {
	results, err := s.askNow(ctx, s.client.B().Get().Key(s.keys.place()).Build())
	if err != nil {
		return time.Time{}, err
	}
	ms, err := results[0].AsInt64()
	if err != nil && !rueidis.IsRedisNil(err) {
		return time.Time{}, unavailable(err)
	}
	return fromMillis(ms), nil
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

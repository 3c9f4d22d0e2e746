package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
)

// Create inserts the row unless its key exists, and counts the user's sessions of that kind that
// have not been swept.
func (s *Store) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	if err := s.claim(ctx, row.Realm); err != nil {
		return stored, false, 0, err
	}
	begins := row.CreatedAt.IsZero()
	if begins {
		now := s.Now()
		row.Begin(now, now)
	}
	m, began := newRef(&row, nonce()), ""
	if s.onOneServer() && begins {
		began = millis(row.CreatedAt)
	} else if !s.onOneServer() {
		if m, count, err = s.prepare(ctx, m, &row, begins); err != nil {
			return stored, false, 0, err
		}
	}
	w, err := encode(&row, m, "")
	if err != nil {
		return stored, false, 0, err
	}
	if err := s.addNames(ctx, &w.row); err != nil {
		return stored, false, 0, err
	}
	r, err := s.run(ctx, s.lua.create, s.keys.row(m.id), label(row.Key()), row.Realm, began, w.value)
	if err != nil {
		return stored, false, 0, err
	}
	if created, counted := r.int() == 1, r.int(); !created {
		stored, err := s.readExisting(ctx, &m, &row, r)
		return stored, false, 0, err
	} else if s.onOneServer() {
		count = int(counted) + 1
	}
	if began != "" {
		w.row.Begin(r.at, r.time())
	}
	return w.row, true, count, errors.Join(r.err, s.logRevocation(ctx, w, w.due))
}

// readExisting reads the existing row.
func (s *Store) readExisting(ctx context.Context, m *ref, row *sessions.Session, r *reader) (sessions.Session, error) {
	old, err := readRow(row.Key(), r.next())
	if err != nil {
		return sessions.Session{}, err
	}
	if !s.onOneServer() {
		// Ours was not inserted. Its index entries lead nowhere, and if they cannot be removed now,
		// a sweep finds them.
		_ = s.removeEntries(ctx, m, place(row.PurgeAt()))
	}
	return old.row, nil
}

func nonce() uint64 {
	return rand.Uint64() //nolint:gosec // not a secret: distinguishes the row from an earlier one with its key
}

// prepare writes the index entries of a row in a cluster. A session that begins gets the server's
// time as this node estimates it; if a cutoff has been added after that, the row gets a later
// position and other entries.
func (s *Store) prepare(ctx context.Context, m ref, row *sessions.Session, begins bool) (_ ref, count int, err error) {
	var newest time.Time
	calls := []func(context.Context) error{
		func(ctx context.Context) (err error) { count, err = s.addEntries(ctx, &m, row); return err },
		s.scriptCall(s.lua.claim, s.keys.realms(), m.id[:realmSize], row.Realm),
	}
	if begins {
		calls = append(calls, func(ctx context.Context) (err error) { newest, err = s.newestCutoff(ctx); return err })
	}
	err = concurrently(ctx, calls)
	if err != nil || newest.Before(row.CreatedAt) || !begins {
		return m, count, err
	}
	if err := s.removeEntries(ctx, &m, place(row.PurgeAt())); err != nil {
		return m, 0, err
	}
	row.Begin(row.RotatedAt, newest.Add(time.Millisecond))
	m = newRef(row, nonce())
	count, err = s.addEntries(ctx, &m, row)
	return m, count, err
}

// newestCutoff returns the position of the newest cutoff of all realms.
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

// addEntries adds the row to the indexes of a cluster before the row itself is written, so that
// every row that exists is listed.
func (s *Store) addEntries(ctx context.Context, m *ref, row *sessions.Session) (count int, err error) {
	part := shard(m.id, s.shards)
	calls := []func(context.Context) error{
		s.scriptCall(s.lua.index, s.keys.all(part), "+", s.keys.all(part), m.scanned(), "+", s.keys.due(part), m.due(place(row.PurgeAt()))),
	}
	if row.RevokedAt.IsZero() {
		listings := s.keys.listings(m)
		calls = append(calls, func(ctx context.Context) error {
			r, err := s.runNow(ctx, s.lua.index, listings[0], "+", listings[0], m.entry())
			if err == nil {
				count = int(r.int())
			}
			return err
		})
		for _, key := range listings[1:] {
			calls = append(calls, s.scriptCall(s.lua.index, key, "+", key, m.entry()))
		}
	}
	err = concurrently(ctx, calls)
	return count, err
}

// removeEntries removes a row from all indexes.
func (s *Store) removeEntries(ctx context.Context, m *ref, due string) error {
	if err := concurrently(ctx, s.removeListings(m)); err != nil {
		return err
	}
	// Last, since a sweep finds the other entries by these.
	part := shard(m.id, s.shards)
	return s.scriptCall(s.lua.index, s.keys.all(part), "-", s.keys.all(part), m.scanned(), "-", s.keys.due(part), m.due(due))(ctx)
}

func (s *Store) removeListings(m *ref) (calls []func(context.Context) error) {
	for _, key := range s.keys.listings(m) {
		calls = append(calls, s.scriptCall(s.lua.index, key, "-", key, m.entry()))
	}
	return calls
}

// logRevocation logs, in a cluster, that the row was revoked, and removes it from the listings. On a
// single server, the script has done that. due is the time under which the row was in the index of
// due rows.
func (s *Store) logRevocation(ctx context.Context, w *storedRow, due string) error {
	if s.onOneServer() || w.row.RevokedAt.IsZero() {
		return nil
	}
	part := shard(w.ref.id, s.shards)
	changes := []string{"+", s.keys.due(part), w.ref.due(w.due)}
	if due != w.due {
		changes = append(changes, "-", s.keys.due(part), w.ref.due(due))
	}
	return concurrently(ctx, append(s.removeListings(&w.ref),
		s.scriptCall(s.lua.log, s.keys.log(part), label(w.row.Key()), millis(w.row.RevokedAt)),
		s.scriptCall(s.lua.index, s.keys.due(part), changes...)))
}

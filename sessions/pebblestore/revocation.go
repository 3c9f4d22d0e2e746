package pebblestore

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// Revocations are in a log by time, whatever becomes of the rows. The write that revokes a session
// adds an entry. The sweeper truncates the log rarely, since deleted entries slow down readers
// until they are compacted.
const (
	logMargin = 10 * time.Minute
	logKept   = revocation.Retention + logMargin
)

// Revoked reports what was revoked since a time.
func (s *Store) Revoked(ctx context.Context, since time.Time, report func(key sessions.Key, at time.Time)) error {
	e, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return unavailable(e.revoked(ctx, since, report))
}

func (e *engine) revoked(ctx context.Context, since time.Time, report func(sessions.Key, time.Time)) (err error) {
	// A time between two milliseconds is after the first of them.
	from := appendTime([]byte{kindRevoked}, since.Add(time.Millisecond-1))
	for entry := range entries(ctx, e.db, from, []byte{kindRevoked + 1}, &err) {
		at, realm, id, err := timedKey(entry)
		if err != nil {
			return err
		}
		name, err := e.realmName(realm)
		if err != nil {
			return err
		}
		report(sessions.Key{Realm: name, ID: id}, at)
	}
	return err
}

// logRevoked updates the log for a row that is about to become next.
func (w *writer) logRevoked(row, next *sessions.Session) error {
	var buf [128]byte
	switch {
	case row != nil && row.RevokedAt.Equal(next.RevokedAt):
		return nil
	case row != nil && !row.RevokedAt.IsZero():
		if err := w.batch.Delete(appendTimedKey(buf[:0], kindRevoked, row.RevokedAt, w.realm, row.ID), nil); err != nil {
			return err
		}
	}
	if next.RevokedAt.IsZero() {
		return nil
	}
	return w.batch.Set(appendTimedKey(buf[:0], kindRevoked, next.RevokedAt, w.realm, next.ID), nil, nil)
}

// truncateLog deletes old entries that nobody asks for, once there are enough.
func (e *engine) truncateLog(ctx context.Context, now time.Time) error {
	enough, err := e.due(ctx, kindRevoked, now.Add(-logKept-logMargin), 1)
	if err != nil || len(enough) == 0 {
		return err
	}
	from, to := []byte{kindRevoked}, appendTime([]byte{kindRevoked}, now.Add(-logKept))
	return e.change(ctx, from, func(b *pebble.Batch) error { return b.DeleteRange(from, to, nil) })
}

// AddCutoff stores the cutoff.
func (s *Store) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	data, err := rowcodec.EncodeCutoff(&c)
	if err != nil {
		return c, unavailable(err)
	}
	err = s.changeCutoff(ctx, &c, func(e *engine, b *pebble.Batch) error {
		if c.At.IsZero() {
			c.At = s.clock.cutoff()
		} else {
			s.clock.recordCopied(c.At)
		}
		return errors.Join(b.Set(appendCutoffKey(nil, &c), data, nil), e.nameRealm(b, hashString(c.Realm), c.Realm))
	})
	return c, err
}

// RemoveCutoff deletes a cutoff; it is no error if there is none.
func (s *Store) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	return s.changeCutoff(ctx, &c, func(_ *engine, b *pebble.Batch) error { return b.Delete(appendCutoffKey(nil, &c), nil) })
}

func (s *Store) changeCutoff(ctx context.Context, c *revocation.Cutoff, change func(*engine, *pebble.Batch) error) error {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return e.change(ctx, []byte(c.ID), func(b *pebble.Batch) error { return change(e, b) })
}

// Cutoffs returns the cutoffs of the realm, oldest first. If one cannot be read, it fails: a
// revocation must not be missed.
func (s *Store) Cutoffs(ctx context.Context, realm string) ([]revocation.Cutoff, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	all, err := e.cutoffs(ctx, realm)
	return all, unavailable(err)
}

func (e *engine) cutoffs(ctx context.Context, realm string) (all []revocation.Cutoff, err error) {
	prefix := appendPrefix(nil, kindCutoff, hashString(realm))
	for key, data := range entries(ctx, e.db, prefix, prefixEnd(prefix), &err) {
		if len(key) < realmEnd+timeSize {
			return nil, ErrCorrupt
		}
		key = key[realmEnd:]
		c, err := rowcodec.DecodeCutoff(realm, string(key[timeSize:]), storedTime(key), data)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

func appendCutoffKey(dst []byte, c *revocation.Cutoff) []byte {
	dst = appendTime(appendPrefix(dst, kindCutoff, hashString(c.Realm)), c.At)
	return append(dst, c.ID...)
}

// Identity returns a text that no other store has, apart from checkpoints.
func (s *Store) Identity(ctx context.Context) (identity string, err error) {
	e, err := s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer s.leave()
	key := []byte{kindID}
	err = e.change(ctx, key, func(b *pebble.Batch) error {
		value, closer, err := e.read(key)
		if errors.Is(err, sessions.ErrNotFound) {
			identity = revocation.NewIdentity()
			return b.Set(key, []byte(identity), nil)
		}
		if err != nil {
			return err
		}
		identity = string(value)
		return closer.Close()
	})
	if err != nil {
		return "", err
	}
	return identity, nil
}

// Interface guard
var _ revocation.Store = (*Store)(nil)

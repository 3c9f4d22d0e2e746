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

// What was ended before its time stands in a log by that time, whatever becomes of
// the row. An entry comes with the write that ends the session. The sweeper cuts the
// log off behind: rarely, since what it leaves there is in the way of readers until
// it is compacted.
const (
	logMargin = 10 * time.Minute
	logKept   = revocation.Retention + logMargin
)

// Revoked reports what was revoked from since on.
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

// logRevoked keeps the log of a row that is about to be next.
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

// cutLog forgets what nobody asks for any more, as soon as that is enough.
func (e *engine) cutLog(ctx context.Context, now time.Time) error {
	enough, err := e.due(ctx, kindRevoked, now.Add(-logKept-logMargin), 1)
	if err != nil || len(enough) == 0 {
		return err
	}
	from, to := []byte{kindRevoked}, appendTime([]byte{kindRevoked}, now.Add(-logKept))
	return e.change(ctx, from, func(b *pebble.Batch) error { return b.DeleteRange(from, to, nil) })
}

// AddCutoff keeps the cutoff.
func (s *Store) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	data, err := rowcodec.EncodeCutoff(&c)
	if err != nil {
		return c, unavailable(err)
	}
	err = s.changeCutoff(ctx, &c, func(e *engine, b *pebble.Batch) error {
		if c.At.IsZero() {
			c.At = s.clock.cutoff()
		} else {
			s.clock.copied(c.At)
		}
		return errors.Join(b.Set(appendCutoffKey(nil, &c), data, nil), e.nameRealm(b, hashString(c.Realm), c.Realm))
	})
	return c, err
}

// RemoveCutoff forgets a cutoff; that there is none is no error.
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

// Cutoffs returns those of the realm, oldest first. One that cannot be read fails
// them all: a revocation must not be missed.
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

// Identity is a text that no other store has. It is in checkpoints too.
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

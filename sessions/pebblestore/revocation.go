package pebblestore

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
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
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{kindRevoked + 1}})
	if err != nil {
		return cause(err)
	}
	defer func() { err = errors.Join(err, cause(iter.Close())) }()
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := calls.Done(ctx); err != nil {
				return err
			}
		}
		if n == 0 && !iter.First() || n > 0 && !iter.Next() {
			return cause(iter.Error())
		}
		at, realm, id, ok := revokedKey(iter.Key())
		if !ok {
			return ErrCorrupt
		}
		name, err := e.realmName(realm)
		if err != nil {
			return err
		}
		report(sessions.Key{Realm: name, ID: id}, at)
	}
}

// logRevoked keeps the log of a row that is about to be next.
func (w *writer) logRevoked(row, next *sessions.Session) error {
	var buf [128]byte
	switch {
	case row != nil && row.RevokedAt.Equal(next.RevokedAt):
		return nil
	case row != nil && !row.RevokedAt.IsZero():
		if err := w.batch.Delete(appendRevokedKey(buf[:0], row.RevokedAt, w.realm, row.ID), nil); err != nil {
			return err
		}
	}
	if next.RevokedAt.IsZero() {
		return nil
	}
	return w.batch.Set(appendRevokedKey(buf[:0], next.RevokedAt, w.realm, next.ID), nil, nil)
}

// cutLog forgets what nobody asks for any more, as soon as that is enough.
func (e *engine) cutLog(ctx context.Context, now time.Time) error {
	from, to := []byte{kindRevoked}, appendTime([]byte{kindRevoked}, now.Add(-logKept))
	enough := appendTime([]byte{kindRevoked}, now.Add(-logKept-logMargin))
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: enough})
	if err != nil {
		return cause(err)
	}
	found := iter.First()
	if err := cause(errors.Join(iter.Error(), iter.Close())); err != nil || !found {
		return err
	}
	batch := e.db.NewBatch()
	if err := batch.DeleteRange(from, to, nil); err != nil {
		return errors.Join(err, batch.Close())
	}
	return e.commit(ctx, batch)
}

func appendRevokedKey(dst []byte, at time.Time, realm hash, id string) []byte {
	dst = append(appendTime(append(dst, kindRevoked), at), realm[:]...)
	return append(dst, id...)
}

// revokedKey reads what appendRevokedKey wrote.
func revokedKey(key []byte) (at time.Time, realm hash, id string, ok bool) {
	const head = 1 + timeSize
	if len(key) < head+hashSize {
		return time.Time{}, hash{}, "", false
	}
	return storedTime(key[1:]), hash(key[head : head+hashSize]), string(key[head+hashSize:]), true
}

// AddCutoff keeps the cutoff.
func (s *Store) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	data, err := rowcodec.EncodeCutoff(&c)
	if err != nil {
		return c, unavailable(err)
	}
	err = s.writeCutoff(ctx, func(e *engine, b *pebble.Batch) error {
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
	return s.writeCutoff(ctx, func(_ *engine, b *pebble.Batch) error { return b.Delete(appendCutoffKey(nil, &c), nil) })
}

// writeCutoff commits one change to a cutoff.
func (s *Store) writeCutoff(ctx context.Context, change func(e *engine, b *pebble.Batch) error) error {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	batch := e.db.NewBatch()
	if err := change(e, batch); err != nil {
		_ = batch.Close()
		return unavailable(cause(err))
	}
	return e.commit(ctx, batch)
}

// Cutoffs returns those of the realm, oldest first. One that cannot be read fails
// them all: a revocation must not be missed.
func (s *Store) Cutoffs(ctx context.Context, realm string) ([]revocation.Cutoff, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	prefix := appendPrefix(nil, kindCutoff, hashString(realm))
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return nil, unavailable(cause(err))
	}
	all, err := readCutoffs(ctx, iter, realm)
	if closing := iter.Close(); err == nil && closing != nil {
		err = unavailable(cause(closing))
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

func readCutoffs(ctx context.Context, iter *pebble.Iterator, realm string) ([]revocation.Cutoff, error) {
	var all []revocation.Cutoff
	for iter.First(); iter.Valid(); iter.Next() {
		if err := calls.Done(ctx); err != nil {
			return nil, err
		}
		at, id, ok := cutoffKey(iter.Key())
		if !ok {
			return nil, unavailable(ErrCorrupt)
		}
		data, err := iter.ValueAndErr()
		if err != nil {
			return nil, unavailable(cause(err))
		}
		c, err := rowcodec.DecodeCutoff(realm, id, at, data)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if err := iter.Error(); err != nil {
		return nil, unavailable(cause(err))
	}
	return all, nil
}

func appendCutoffKey(dst []byte, c *revocation.Cutoff) []byte {
	dst = appendTime(appendPrefix(dst, kindCutoff, hashString(c.Realm)), c.At)
	return append(dst, c.ID...)
}

// cutoffKey reads what appendCutoffKey wrote.
func cutoffKey(key []byte) (at time.Time, id string, ok bool) {
	if len(key) < realmEnd+timeSize {
		return time.Time{}, "", false
	}
	key = key[realmEnd:]
	return storedTime(key), string(key[timeSize:]), true
}

// Identity is a text that no other store has. It is in checkpoints too.
func (s *Store) Identity(ctx context.Context) (string, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer s.leave()
	key := []byte{kindID}
	stripe := e.stripe(key)
	if err := e.lock(ctx, stripe); err != nil {
		return "", err
	}
	value, closer, err := e.read(key)
	if err == nil {
		found := string(value)
		e.unlock(stripe)
		return found, unavailable(closer.Close())
	}
	if !errors.Is(err, sessions.ErrNotFound) {
		e.unlock(stripe)
		return "", err
	}
	made, batch := revocation.NewIdentity(), e.db.NewBatch()
	if err := batch.Set(key, []byte(made), nil); err != nil {
		e.unlock(stripe)
		return "", unavailable(errors.Join(cause(err), batch.Close()))
	}
	return made, e.commit(ctx, batch, stripe)
}

// Interface guard
var _ revocation.Store = (*Store)(nil)

// Interface guard
var _ revocation.Store = (*Store)(nil)

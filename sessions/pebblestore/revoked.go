package pebblestore

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/revocation"
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

// Interface guards
var _ revocation.Store = (*Store)(nil)

package pebblestore

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

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
// them all: nobody may do without it.
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

// Interface guards
var _ revocation.Store = (*Store)(nil)

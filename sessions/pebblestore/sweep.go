package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/rowcodec"
)

// sweepBatch is how many sessions are locked and deleted at a time.
const sweepBatch = 256

// unreadableRetry is when an unreadable row is tried again.
const unreadableRetry = time.Hour

// Sweep deletes rows that are due, with their index entries, in batches.
func (s *Store) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (deleted int, err error) {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return 0, err
	}
	defer s.leave()
	select {
	case s.sweeping <- struct{}{}: // a sweep holds many locks, and two would deadlock
	case <-ctx.Done():
		return 0, unavailable(ctx.Err())
	}
	defer func() { <-s.sweeping }()
	for deleted < limit {
		b := sweep{e: e, now: s.Now(), most: min(limit-deleted, sweepBatch), held: make(map[uint16]bool), gone: make(map[string]bool)}
		more, err := b.run(ctx)
		if err != nil {
			return deleted, unavailable(err)
		}
		deleted += b.deleted
		for i := range b.over {
			if over != nil {
				over(&b.over[i])
			}
		}
		if !more {
			return deleted, unavailable(errors.Join(e.truncateLog(ctx, b.now), e.sweepMarks(ctx, b.now, limit)))
		}
	}
	return deleted, nil
}

// A sweep is one batch.
type sweep struct {
	e       *engine
	now     time.Time
	most    int
	batch   *pebble.Batch
	held    map[uint16]bool // locks
	locks   []uint16
	gone    map[string]bool // rows: several entries may belong to one
	deleted int
	over    []sessions.Session // those that were not revoked
}

// run processes the first entries that are due. more reports whether there may be others.
func (b *sweep) run(ctx context.Context) (more bool, err error) {
	due, err := b.e.due(ctx, kindExpiry, b.now, b.most)
	if err != nil || len(due) == 0 {
		return false, err
	}
	b.batch = b.e.db.NewBatch()
	defer func() {
		if b.batch != nil { // nothing was committed
			_ = b.batch.Close()
			for _, stripe := range b.locks {
				b.e.unlock(stripe)
			}
		}
	}()
	for _, entry := range due {
		if err := b.entry(ctx, entry); err != nil {
			return false, err
		}
	}
	batch := b.batch
	b.batch = nil
	return len(due) == b.most, b.e.commit(ctx, batch, b.locks...)
}

// due returns the first due entries of an index by time.
func (e *engine) due(ctx context.Context, kind byte, now time.Time, most int) (due [][]byte, err error) {
	if err := calls.CheckContext(ctx); err != nil {
		return nil, err
	}
	lower, upper := []byte{kind}, appendTime([]byte{kind}, now.Add(time.Millisecond))
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, cause(err)
	}
	for iter.First(); iter.Valid() && len(due) < most; iter.Next() {
		due = append(due, bytes.Clone(iter.Key()))
	}
	return due, errors.Join(iter.Error(), e.closeWalk(iter, lower, upper))
}

// entry deletes the row of an entry, or moves the entry to when the row is due.
func (b *sweep) entry(ctx context.Context, entry []byte) error {
	_, realm, id, err := timedKey(entry)
	if err != nil {
		return err
	}
	rowKey := appendRowKey(nil, realm, id)
	if stripe := b.e.stripe(rowKey); !b.held[stripe] {
		if err := b.e.lock(ctx, stripe); err != nil {
			return err
		}
		b.held[stripe] = true
		b.locks = append(b.locks, stripe)
	}
	if err := b.batch.Delete(entry, nil); err != nil {
		return err
	}
	data, closer, err := b.e.read(rowKey)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = closer.Close() }()
	if b.gone[string(rowKey)] {
		return nil
	}
	name, err := b.e.realmName(realm)
	if err != nil && !errors.Is(err, errUnnamed) {
		return err
	}
	row, err := rowcodec.Decode(sessions.Key{Realm: name, ID: id}, data)
	switch {
	case err != nil: // of a newer release: it must not keep others from being swept
		return b.batch.Set(appendTimedKey(nil, kindExpiry, b.now.Add(unreadableRetry), realm, id), nil, nil)
	case row.PurgeAt().After(b.now):
		return b.batch.Set(appendTimedKey(nil, kindExpiry, row.PurgeAt(), realm, id), nil, nil)
	}
	return b.delete(&row, realm, rowKey)
}

func (b *sweep) delete(row *sessions.Session, realm hash, rowKey []byte) error {
	b.deleted++
	b.gone[string(rowKey)] = true
	if err := b.batch.Delete(rowKey, nil); err != nil {
		return err
	}
	if !row.RevokedAt.IsZero() {
		return nil
	}
	b.over = append(b.over, *row)
	return eachIndexKey(realm, row, func(key, _ []byte) error { return b.batch.Delete(key, nil) })
}

const (
	// tooManyHidden is how many deleted entries a walk may step over: about a millisecond.
	tooManyHidden = 4096
	// tidyRest is how many times its own duration a tidy waits before the next.
	tidyRest = 20
)

// closeWalk closes an iterator of a range. If it stepped over very many deleted entries, Pebble
// rewrites the range without them, in the background.
func (e *engine) closeWalk(iter *pebble.Iterator, lower, upper []byte) error {
	steps := iter.Stats().ForwardStepCount
	if steps[pebble.InternalIterCall]-steps[pebble.InterfaceCall] > tooManyHidden {
		e.tidy(lower, upper)
	}
	return iter.Close()
}

// tidy rewrites a range without deleted entries. Only one runs at a time.
func (e *engine) tidy(lower, upper []byte) {
	if !e.tidying.CompareAndSwap(false, true) {
		return
	}
	e.commits.Go(func() {
		// This measures work, not the time of a session. Failures are logged by Pebble, and retried
		// later.
		start := time.Now() //nolint:forbidigo // see above
		_ = e.db.Compact(e.ending, lower, upper, false)
		time.AfterFunc(tidyRest*time.Since(start), func() { e.tidying.Store(false) }) //nolint:forbidigo // see above
	})
}

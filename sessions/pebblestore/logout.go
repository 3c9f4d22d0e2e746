package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/logout"
)

// A mark stands by its name, with its two times as the value, and in an index by when it is
// over, for the sweeper. One that was prolonged has several entries there.

func appendNamePrefix(dst []byte, realm hash, name string) []byte {
	sum := hashString(name)
	return append(appendPrefix(dst, kindName, realm), sum[:]...)
}

func appendMarkKey(dst []byte, realm hash, name string) []byte {
	return append(appendPrefix(dst, kindMark, realm), name...)
}

func appendMarkDueKey(dst []byte, until time.Time, realm hash, name string) []byte {
	dst = append(appendTime(append(dst, kindMarkDue), until), realm[:]...)
	return append(dst, name...)
}

// Named gives the rows that have the name, newest first.
func (s *Store) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	sel := &selection{realm: hashString(realm)}
	sel.prefixes = [][]byte{appendNamePrefix(nil, sel.realm, name)}
	for query := (sessions.Query{Realm: realm, Limit: logout.MostRows}); ; {
		got, err := s.listBy(ctx, sel, &query)
		if err != nil {
			return err
		}
		if err := page(got.Sessions); err != nil {
			return err
		}
		if query.Cursor = got.Next; query.Cursor == "" {
			return nil
		}
	}
}

// Mark stores marks, one after the other.
func (s *Store) Mark(ctx context.Context, realm string, marks []logout.Mark) error {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	for i := range marks {
		if err := e.mark(ctx, realm, marks[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) mark(ctx context.Context, name string, m logout.Mark) error {
	realm := hashString(name)
	key := appendMarkKey(nil, realm, m.Name)
	stripe := e.stripe(key)
	if err := e.lock(ctx, stripe); err != nil {
		return err
	}
	stored, found, err := e.findMark(key, m.Name)
	if err == nil && found {
		m = m.Merge(stored)
	}
	batch := e.db.NewBatch()
	if err == nil {
		err = errors.Join(
			batch.Set(key, appendTime(appendTime(nil, m.At), m.Until), nil),
			batch.Set(appendMarkDueKey(nil, m.Until, realm, m.Name), nil, nil),
			e.nameRealm(batch, realm, name))
	}
	if err != nil {
		e.unlock(stripe)
		return unavailable(errors.Join(err, batch.Close()))
	}
	if err = e.commit(ctx, batch, stripe); err == nil {
		e.realms.add(realm, name)
	}
	return err
}

// findMark reads a mark.
func (e *engine) findMark(key []byte, name string) (m logout.Mark, found bool, err error) {
	value, closer, err := e.read(key)
	if errors.Is(err, sessions.ErrNotFound) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	defer func() { _ = closer.Close() }()
	m, err = readMark(name, value)
	return m, err == nil, err
}

func readMark(name string, value []byte) (logout.Mark, error) {
	if len(value) != 2*timeSize {
		return logout.Mark{}, unavailable(ErrCorrupt)
	}
	return logout.Mark{Name: name, At: storedTime(value), Until: storedTime(value[timeSize:])}, nil
}

// EachMark gives the marks that are not over, in the order of their names.
func (s *Store) EachMark(ctx context.Context, realm string, page func([]logout.Mark) error) error {
	prefix := appendPrefix(nil, kindMark, hashString(realm))
	for from := prefix; ; {
		marks, next, err := s.marksFrom(ctx, prefix, from)
		if err != nil {
			return err
		}
		if err := page(marks); err != nil {
			return err
		}
		if from = next; from == nil {
			return nil
		}
	}
}

// marksFrom reads marks from a key on, and the key to go on at: nil at the end.
func (s *Store) marksFrom(ctx context.Context, prefix, from []byte) (marks []logout.Mark, next []byte, err error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer s.leave()
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return nil, nil, unavailable(cause(err))
	}
	defer func() { err = errors.Join(err, unavailable(cause(iter.Close()))) }()
	now := s.Now()
	for iter.First(); iter.Valid(); iter.Next() {
		if len(marks) == logout.MostRows {
			return marks, bytes.Clone(iter.Key()), nil
		}
		m, err := readMark(string(iter.Key()[len(prefix):]), iter.Value())
		if err != nil {
			return nil, nil, err
		}
		if !m.Over(now) {
			marks = append(marks, m)
		}
	}
	return marks, nil, unavailable(cause(iter.Error()))
}

// Marks returns those of the names that are not over.
func (s *Store) Marks(ctx context.Context, realm string, names []string) (marks []logout.Mark, err error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	now := s.Now()
	for _, name := range names {
		key := appendMarkKey(nil, hashString(realm), name)
		// What is on its way to the disk has been seen by nobody yet.
		m, found, err := e.findMark(key, name)
		if err != nil {
			return nil, err
		}
		if found && !m.Over(now) {
			marks = append(marks, m)
		}
	}
	return marks, nil
}

// sweepMarks deletes marks that are over, at most limit of them.
func (e *engine) sweepMarks(ctx context.Context, now time.Time, limit int) error {
	due, err := e.dueMarks(now, limit)
	if err != nil {
		return err
	}
	for _, entry := range due {
		if err := calls.Done(ctx); err != nil {
			return err
		}
		if err := e.sweepMark(ctx, entry, now); err != nil {
			return err
		}
	}
	return nil
}

// dueMarks returns the first entries of marks that are over.
func (e *engine) dueMarks(now time.Time, limit int) (due [][]byte, err error) {
	iter, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{kindMarkDue}, UpperBound: appendTime([]byte{kindMarkDue}, now.Add(time.Millisecond)),
	})
	if err != nil {
		return nil, cause(err)
	}
	for iter.First(); iter.Valid() && len(due) < limit; iter.Next() {
		due = append(due, append([]byte(nil), iter.Key()...))
	}
	return due, errors.Join(iter.Error(), iter.Close())
}

// sweepMark deletes an entry, and its mark unless that was prolonged.
func (e *engine) sweepMark(ctx context.Context, entry []byte, now time.Time) error {
	const head = 1 + timeSize
	if len(entry) < head+hashSize {
		return ErrCorrupt
	}
	name := string(entry[head+hashSize:])
	key := appendMarkKey(nil, hash(entry[head:head+hashSize]), name)
	stripe := e.stripe(key)
	if err := e.lock(ctx, stripe); err != nil {
		return err
	}
	m, found, err := e.findMark(key, name)
	batch := e.db.NewBatch()
	if err == nil {
		err = batch.Delete(entry, nil)
	}
	if err == nil && found && m.Over(now) {
		err = batch.Delete(key, nil)
	}
	if err != nil {
		e.unlock(stripe)
		return errors.Join(err, batch.Close())
	}
	return e.commit(ctx, batch, stripe)
}

// Interface guard
var _ logout.Store = (*Store)(nil)

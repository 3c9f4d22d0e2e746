package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/logout"
)

// A mark is stored under its name with its two times, and in an index by expiry for the sweeper. A
// mark that was extended has several entries there.

func appendNamePrefix(dst []byte, realm hash, name string) []byte {
	sum := hashString(name)
	return append(appendPrefix(dst, kindName, realm), sum[:]...)
}

func appendMarkKey(dst []byte, realm hash, name string) []byte {
	return append(appendPrefix(dst, kindMark, realm), name...)
}

// Named passes the rows with the name to page, newest first.
func (s *Store) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	sel := &selection{realm: hashString(realm)}
	sel.prefixes = [][]byte{appendNamePrefix(nil, sel.realm, name)}
	for query := (sessions.Query{Realm: realm, Limit: logout.MaxRows}); ; {
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
	err := e.change(ctx, key, func(b *pebble.Batch) error {
		stored, found, err := e.findMark(key, m.Name)
		if err != nil {
			return err
		}
		if found {
			m = m.Merge(stored)
		}
		return errors.Join(
			b.Set(key, appendTime(appendTime(nil, m.At), m.Until), nil),
			b.Set(appendTimedKey(nil, kindMarkDue, m.Until, realm, m.Name), nil, nil),
			e.nameRealm(b, realm, name))
	})
	if err == nil {
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

// EachMark passes the marks that are not over to page, ordered by name.
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

// marksFrom reads marks beginning at a key, and returns the key to continue at; nil at the end.
func (s *Store) marksFrom(ctx context.Context, prefix, from []byte) (marks []logout.Mark, next []byte, err error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer s.leave()
	now := s.Now()
	for key, value := range entries(ctx, e.db, from, prefixEnd(prefix), &err) {
		if len(marks) == logout.MaxRows {
			return marks, bytes.Clone(key), nil
		}
		m, err := readMark(string(key[len(prefix):]), value)
		if err != nil {
			return nil, nil, err
		}
		if !m.Over(now) {
			marks = append(marks, m)
		}
	}
	return marks, nil, unavailable(err)
}

// Marks returns the marks with these names that are not over.
func (s *Store) Marks(ctx context.Context, realm string, names []string) (marks []logout.Mark, err error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	now := s.Now()
	for _, name := range names {
		key := appendMarkKey(nil, hashString(realm), name)
		// A mark that is still being written has not been acknowledged yet.
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

// sweepMarks deletes at most limit marks that are over.
func (e *engine) sweepMarks(ctx context.Context, now time.Time, limit int) error {
	due, err := e.due(ctx, kindMarkDue, now, limit)
	if err != nil {
		return err
	}
	for _, entry := range due {
		if err := calls.CheckContext(ctx); err != nil {
			return err
		}
		if err := e.sweepMark(ctx, entry, now); err != nil {
			return err
		}
	}
	return nil
}

// sweepMark deletes an entry, and its mark unless that was extended.
func (e *engine) sweepMark(ctx context.Context, entry []byte, now time.Time) error {
	_, realm, name, err := timedKey(entry)
	if err != nil {
		return err
	}
	key := appendMarkKey(nil, realm, name)
	return e.change(ctx, key, func(b *pebble.Batch) error {
		m, found, err := e.findMark(key, name)
		if err == nil && found && m.Over(now) {
			err = b.Delete(key, nil)
		}
		return cmp.Or(err, b.Delete(entry, nil))
	})
}

// Interface guard
var _ logout.Store = (*Store)(nil)

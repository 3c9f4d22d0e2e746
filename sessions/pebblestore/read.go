package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/rowcodec"
)

// Get returns the row, or sessions.ErrNotFound. It waits for writes in flight to that session.
func (s *Store) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return sessions.Session{}, err
	}
	defer s.leave()
	var buf [128]byte
	rowKey := appendRowKey(buf[:0], hashString(key.Realm), key.ID)
	stripe := e.stripe(rowKey)
	if err := e.lock(ctx, stripe); err != nil {
		return sessions.Session{}, err
	}
	defer e.unlock(stripe)
	return e.get(key, rowKey)
}

// get reads the row with a key.
func (e *engine) get(key sessions.Key, rowKey []byte) (sessions.Session, error) {
	data, closer, err := e.read(rowKey)
	if err != nil {
		return sessions.Session{}, err
	}
	defer func() { _ = closer.Close() }()
	return rowcodec.Decode(key, data)
}

// read reads the value of a key, which is valid until it is closed.
func (e *engine) read(rowKey []byte) ([]byte, io.Closer, error) {
	data, closer, err := e.db.Get(rowKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, nil, sessions.ErrNotFound
	case err != nil:
		return nil, nil, unavailable(cause(err))
	}
	return data, closer, nil
}

// find is get for a row that most likely does not exist: filters show that without reading data,
// even in the last level, where Pebble's Get does not use them.
func (e *engine) find(key sessions.Key, rowKey []byte) (row sessions.Session, err error) {
	iter, err := e.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return sessions.Session{}, unavailable(cause(err))
	}
	defer func() {
		if closing := iter.Close(); closing != nil {
			err = unavailable(cause(closing))
		}
	}()
	if !iter.SeekPrefixGE(rowKey) || !bytes.Equal(iter.Key(), rowKey) {
		return sessions.Session{}, cmp.Or(unavailable(iter.Error()), sessions.ErrNotFound)
	}
	data, err := iter.ValueAndErr()
	if err != nil {
		return sessions.Session{}, unavailable(cause(err))
	}
	return rowcodec.Decode(key, data)
}

// entries iterates over the entries from lower to before upper, in the order of their keys. An
// entry is valid until the next. After an error the iteration ends, and the error is in err.
func entries(ctx context.Context, db *pebble.DB, lower, upper []byte, err *error) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		at, failed := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if failed != nil {
			*err = cause(failed)
			return
		}
		n := 0
		for valid := at.First(); valid && failed == nil; valid = at.Next() {
			if n++; n%64 == 1 {
				failed = calls.CheckContext(ctx)
			}
			value, unread := at.ValueAndErr()
			if failed = cmp.Or(failed, cause(unread)); failed == nil && !yield(at.Key(), value) {
				break
			}
		}
		*err = cmp.Or(*err, failed, cause(at.Error()), cause(at.Close()))
	}
}

// scanMark is the prefix of cursors of Scan, which distinguishes them from those of listings. The
// rest is the key of the last row of the page, without its kind.
const scanMark = "scan\x00"

// Scan returns a page of the rows of all realms, ordered by key.
func (s *Store) Scan(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
	from, err := readScanCursor(cursor)
	if err != nil {
		return sessions.Page{}, err
	}
	e, err := s.enter(ctx)
	if err != nil {
		return sessions.Page{}, err
	}
	defer s.leave()
	page, err := e.scan(ctx, from, max(limit, 1))
	return page, unavailable(err)
}

func (e *engine) scan(ctx context.Context, from []byte, limit int) (page sessions.Page, err error) {
	var last []byte
	for key, data := range entries(ctx, e.db, from, []byte{kindRow + 1}, &err) {
		if len(page.Sessions) == limit {
			page.Next = base64.RawURLEncoding.EncodeToString(append([]byte(scanMark), last[1:]...))
			return page, nil
		}
		row, err := e.decodeScanned(key, data)
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions, last = append(page.Sessions, row), append(last[:0], key...)
	}
	if err != nil {
		return sessions.Page{}, err
	}
	return page, nil
}

// decodeScanned decodes a row.
func (e *engine) decodeScanned(key, data []byte) (sessions.Session, error) {
	if len(key) < realmEnd {
		return sessions.Session{}, ErrCorrupt
	}
	name, err := e.realmName(hash(key[1:realmEnd]))
	if err != nil {
		return sessions.Session{}, err
	}
	return rowcodec.Decode(sessions.Key{Realm: name, ID: string(key[realmEnd:])}, data)
}

// readScanCursor returns the first key of the page.
func readScanCursor(cursor string) (from []byte, err error) {
	if cursor == "" {
		return []byte{kindRow}, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	last, ours := bytes.CutPrefix(raw, []byte(scanMark))
	if err != nil || !ours || len(last) < hashSize {
		return nil, sessions.ErrBadCursor
	}
	from = append([]byte{kindRow}, last...)
	return append(from, 0), nil // the first key after it
}

// scanPlaces returns the first positions after one among all own sessions of a realm, by reading
// all of them. Only audits ask for that.
func (sel *selection) scanPlaces(ctx context.Context, e *engine, after []byte, most int) (first [][]byte, err error) {
	prefix := appendPrefix(nil, kindUser, sel.realm)
	sortOut := func() {
		slices.SortFunc(first, bytes.Compare)
		first = first[:min(most, len(first))]
	}
	for key := range entries(ctx, e.db, prefix, prefixEnd(prefix), &err) {
		if len(key) < userPrefix || key[userPrefix-1] != 0 || bytes.Compare(key[userPrefix:], after) <= 0 {
			continue
		}
		if first = append(first, bytes.Clone(key[userPrefix:])); len(first) == 2*most {
			sortOut()
		}
	}
	sortOut()
	return first, err
}

// Interface guard
var _ sessions.AdminStore = (*Store)(nil)

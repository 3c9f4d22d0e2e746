package pebblestore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/rowcodec"
)

// scanMark begins the cursors of Scan, so that none of a listing passes for one. The
// key of the last row of the page, without its kind, is the rest.
const scanMark = "scan\x00"

// Scan returns a page of the rows of all realms, in the order of their keys.
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
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{kindRow + 1}})
	if err != nil {
		return page, cause(err)
	}
	defer func() {
		if err = errors.Join(err, cause(iter.Close())); err != nil {
			page = sessions.Page{}
		}
	}()
	var last []byte
	for iter.First(); iter.Valid(); iter.Next() {
		if err := calls.Done(ctx); err != nil {
			return page, err
		}
		if len(page.Sessions) == limit {
			page.Next = base64.RawURLEncoding.EncodeToString(append([]byte(scanMark), last[1:]...))
			return page, nil
		}
		last = append(last[:0], iter.Key()...)
		row, err := e.scanned(iter)
		if err != nil {
			return page, err
		}
		page.Sessions = append(page.Sessions, row)
	}
	return page, cause(iter.Error())
}

// scanned reads the row that the iterator is at.
func (e *engine) scanned(iter *pebble.Iterator) (sessions.Session, error) {
	key := iter.Key()
	if len(key) < realmEnd {
		return sessions.Session{}, ErrCorrupt
	}
	name, err := e.realmName(hash(key[1:realmEnd]))
	if err != nil {
		return sessions.Session{}, err
	}
	data, err := iter.ValueAndErr()
	if err != nil {
		return sessions.Session{}, cause(err)
	}
	return rowcodec.Decode(sessions.Key{Realm: name, ID: string(key[realmEnd:])}, data)
}

// readScanCursor returns the first key that the page may have.
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
	return append(from, 0), nil // what comes right after it
}

// Interface guards
var _ sessions.AdminStore = (*Store)(nil)

package pebblestore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// List returns a page of the rows that match. It does not wait for writes in flight: rows that are
// being created or revoked may or may not be included.
func (s *Store) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	return s.listBy(ctx, newSelection(&query), &query)
}

func (s *Store) listBy(ctx context.Context, sel *selection, query *sessions.Query) (sessions.Page, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return sessions.Page{}, err
	}
	defer s.leave()
	after, err := sel.readCursor(query.Cursor)
	if err != nil {
		return sessions.Page{}, err
	}
	if !query.KeysOnly && !sel.scan { // creations do not wait for listings, and an audit reads for a long time
		if err := e.waitTurn(ctx); err != nil {
			return sessions.Page{}, err
		}
		defer func() { <-e.turns }()
	}
	walk, err := sel.open(ctx, e, after, query)
	if err != nil {
		return sessions.Page{}, unavailable(err)
	}
	page, err := sel.page(ctx, e, walk, query)
	return page, unavailable(errors.Join(err, walk.close(e)))
}

// A selection is a query in terms of the indexes.
type selection struct {
	realm    hash
	prefixes [][]byte // prefixes of index entries, to be merged
	scan     bool     // all own sessions of the realm, which no index orders
	actor    *hash    // only those of this actor
	name     [8]byte  // identifies the query in cursors
}

func newSelection(q *sessions.Query) *selection {
	sel := &selection{realm: hashString(q.Realm)}
	own := q.Actor == nil && (q.Impersonations == nil || !*q.Impersonations)
	imp := q.Impersonations == nil || *q.Impersonations
	switch {
	case q.User != "":
		user := hashString(q.User)
		if own {
			sel.prefixes = append(sel.prefixes, appendUserPrefix(nil, sel.realm, user, false))
		}
		if imp {
			sel.prefixes = append(sel.prefixes, appendUserPrefix(nil, sel.realm, user, true))
		}
		if q.Actor != nil {
			sel.actor = new(hashActor(q.Actor))
		}
	case q.Actor != nil && imp:
		sel.prefixes = [][]byte{appendActorPrefix(nil, sel.realm, hashActor(q.Actor))}
	case q.Actor != nil:
	case q.Impersonations != nil && imp:
		sel.prefixes = [][]byte{appendPrefix(nil, kindAll, sel.realm)}
	case q.Impersonations != nil:
		sel.scan = true
	}
	sel.setName()
	return sel
}

// A walk returns the positions of sessions in order, without duplicates.
type walk struct {
	indexes []indexed
	actor   *hash
	places  [][]byte // instead, if no index orders them
	at      int
}

// indexed is the position of a walk in the index entries of a prefix.
type indexed struct {
	*pebble.Iterator
	prefix []byte
	left   int // upper bound of the remaining entries
}

// open starts a walk after a position, or at the beginning if it is nil.
func (sel *selection) open(ctx context.Context, e *engine, after []byte, q *sessions.Query) (*walk, error) {
	w := &walk{actor: sel.actor, at: -1}
	if sel.scan {
		places, err := sel.scanPlaces(ctx, e, after, max(q.Limit, 1)+1)
		w.places = places
		return w, err
	}
	for _, prefix := range sel.prefixes {
		in, err := e.filter.open(e.db, prefix, q.KeysOnly)
		if err != nil {
			return nil, errors.Join(cause(err), w.close(e))
		}
		seek := slices.Concat(prefix, after)
		if after != nil {
			seek = append(seek, 0)
		}
		if in.left > 0 {
			in.SeekPrefixGE(seek)
		}
		w.indexes = append(w.indexes, in)
	}
	return w, nil
}

func (w *walk) close(e *engine) error {
	var err error
	for _, in := range w.indexes {
		if failed := e.closeWalk(in.Iterator, in.prefix, prefixEnd(in.prefix)); failed != nil {
			err = cause(failed)
		}
	}
	return err
}

// next returns the next position, or nil at the end. The position is valid until the next call.
func (w *walk) next() (place []byte, err error) {
	if w.places != nil || len(w.indexes) == 0 {
		if w.at++; w.at < len(w.places) {
			return w.places[w.at], nil
		}
		return nil, nil
	}
	for {
		if w.at >= 0 {
			if in := &w.indexes[w.at]; in.left > 1 {
				in.Next()
			}
			w.indexes[w.at].left--
		}
		w.at = -1
		var value []byte
		for i := range w.indexes {
			in := &w.indexes[i]
			if in.left == 0 || !in.Valid() {
				if err := in.Error(); err != nil {
					return nil, cause(err)
				}
				continue
			}
			if here := in.Key()[len(in.prefix):]; w.at < 0 || bytes.Compare(here, place) < 0 {
				w.at, place, value = i, here, in.Value()
			}
		}
		if w.at < 0 {
			return nil, nil
		}
		if w.actor == nil || bytes.Equal(value, w.actor[:]) {
			return place, nil
		}
	}
}

// page reads a page from the walk.
func (sel *selection) page(ctx context.Context, e *engine, w *walk, q *sessions.Query) (sessions.Page, error) {
	var page sessions.Page
	var last []byte
	for n := 0; ; n++ {
		if n%64 == 63 {
			if err := calls.CheckContext(ctx); err != nil {
				return sessions.Page{}, err
			}
		}
		at, err := w.next()
		if err != nil || at == nil {
			return page, err
		}
		if len(page.Sessions) >= max(q.Limit, 1) {
			page.Next = sel.cursor(last)
			return page, nil
		}
		last = append(last[:0], at...)
		row, ok, err := e.readListed(q, sel.realm, at)
		if err != nil {
			return sessions.Page{}, err
		}
		if ok {
			page.Sessions = append(page.Sessions, row)
		}
	}
}

// readListed returns the row at a position, unless it has been revoked or deleted meanwhile.
func (e *engine) readListed(q *sessions.Query, realm hash, at []byte) (sessions.Session, bool, error) {
	created, id, ok := place(at)
	if !ok {
		return sessions.Session{}, false, ErrCorrupt
	}
	if q.KeysOnly {
		return sessions.Session{Realm: q.Realm, ID: id, CreatedAt: created}, true, nil
	}
	var buf [128]byte
	row, err := e.get(sessions.Key{Realm: q.Realm, ID: id}, appendRowKey(buf[:0], realm, id))
	if errors.Is(err, sessions.ErrNotFound) {
		return sessions.Session{}, false, nil
	}
	return row, err == nil && row.RevokedAt.IsZero(), err
}

// A cursor is the name of its query and the position of the last row of the page.

// setName names the query, so that cursors of other queries are refused.
func (sel *selection) setName() {
	h := sha256.New()
	_, _ = h.Write(sel.realm[:])
	for _, prefix := range sel.prefixes {
		_, _ = h.Write(prefix)
	}
	if sel.actor != nil {
		_, _ = h.Write(sel.actor[:])
	}
	copy(sel.name[:], h.Sum(nil))
}

func (sel *selection) cursor(last []byte) string {
	return base64.RawURLEncoding.EncodeToString(slices.Concat(sel.name[:], last))
}

func (sel *selection) readCursor(cursor string) (after []byte, err error) {
	if cursor == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || !bytes.HasPrefix(raw, sel.name[:]) {
		return nil, sessions.ErrBadCursor
	}
	after = raw[len(sel.name):]
	if _, _, ok := place(after); !ok {
		return nil, sessions.ErrBadCursor
	}
	return after, nil
}

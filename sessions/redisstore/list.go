package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/storedrow"
)

// listBatch is how many entries of an index are read at a time, at most.
const listBatch = 500

// List returns a page of the rows that match.
func (s *Store) List(ctx context.Context, query sessions.Query) (page sessions.Page, err error) {
	if err := s.claim(ctx, query.Realm); err != nil {
		return page, err
	}
	sel := newSelection(s.keys, &query)
	before, err := sel.readCursor(query.Cursor)
	if err != nil {
		return page, err
	}
	limit := max(query.Limit, 1)
	for more := len(sel.indexes) > 0; more && len(page.Sessions) <= limit; {
		var entries []string
		if entries, more, err = s.entries(ctx, sel, before, min(limit+1, listBatch)); err != nil {
			return sessions.Page{}, err
		}
		if len(entries) == 0 {
			break
		}
		before = entries[len(entries)-1]
		rows, err := s.readListed(ctx, sel, entries)
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions = append(page.Sessions, rows...)
		if err := calls.CheckContext(ctx); err != nil {
			return sessions.Page{}, err
		}
	}
	if len(page.Sessions) > limit {
		page.Sessions = page.Sessions[:limit:limit]
		page.Next = sel.writeCursor(&page.Sessions[limit-1])
	}
	return page, nil
}

// entries returns the next entries of all indexes of the selection, newest first, and whether there
// are more.
func (s *Store) entries(ctx context.Context, sel *selection, before string, n int) (entries []string, more bool, err error) {
	found := make([][]string, len(sel.indexes))
	reads := make([]func(context.Context) error, len(sel.indexes))
	for i, index := range sel.indexes {
		reads[i] = func(ctx context.Context) (err error) {
			found[i], _, err = s.walk(ctx, s.run, index, before, n, "back")
			return err
		}
	}
	if err := concurrently(ctx, reads); err != nil {
		return nil, false, err
	}
	for _, of := range found {
		more = more || len(of) == n
		entries = append(entries, of...)
	}
	slices.SortFunc(entries, func(a, b string) int { return strings.Compare(b, a) })
	if len(entries) > n { // beyond them, the merge may be incomplete
		entries, more = entries[:n], true
	}
	return entries, more, nil
}

// walk reads the members of an index after a text, and the time, with run.
func (s *Store) walk(ctx context.Context, run runner, index, after string, n int, back string) (members []string, at time.Time, err error) {
	r, err := run(ctx, s.lua.walk, index, after, strconv.Itoa(n), back)
	if err != nil {
		return nil, at, err
	}
	value := r.next()
	if members, err = value.AsStrSlice(); err != nil {
		return nil, at, calls.ErrCorrupt
	}
	return members, r.at, nil
}

// readListed reads the rows of entries, and returns those that match and are not revoked.
func (s *Store) readListed(ctx context.Context, sel *selection, entries []string) ([]sessions.Session, error) {
	keys := make([]sessions.Key, len(entries))
	for i, e := range entries {
		_, id, ok := parseEntry(e)
		if !ok {
			return nil, calls.ErrCorrupt
		}
		keys[i] = sessions.Key{Realm: sel.query.Realm, ID: id}
	}
	return s.readRows(ctx, keys, sel.query.KeysOnly, func(i int, found *storedRow) bool {
		// An entry whose row is another one than it was made for leads nowhere.
		return found.row.RevokedAt.IsZero() && found.ref.entry() == entries[i] && sel.matches(&found.ref)
	})
}

// readKey reads the header of a row: its key, when it began and when it was revoked.
func readKey(key sessions.Key, value string) (*storedRow, error) {
	found, _, ok := readHeader(key, value)
	if !ok {
		return nil, calls.ErrCorrupt
	}
	found.row = sessions.Session{Realm: key.Realm, ID: key.ID, CreatedAt: found.row.CreatedAt, RevokedAt: found.row.RevokedAt}
	return found, nil
}

// A selection is a query in terms of the indexes, and further conditions.
type selection struct {
	query       *sessions.Query
	indexes     []string
	user, actor string // hashes; "" means any
}

// newSelection selects the indexes. Each is read in order, no further than a page needs.
func newSelection(k keys, q *sessions.Query) *selection {
	sel := &selection{query: q}
	var kinds []string
	if q.Actor == nil && (q.Impersonations == nil || !*q.Impersonations) {
		kinds = append(kinds, own)
	}
	if q.Impersonations == nil || *q.Impersonations {
		kinds = append(kinds, acting)
	}
	if q.Actor != nil {
		sel.actor = hashActor(q.Realm, q.Actor)
	}
	if q.User != "" {
		sel.user = hashUser(q.Realm, q.User)
	}
	for _, kind := range kinds {
		switch {
		case q.User != "":
			sel.indexes = append(sel.indexes, k.user(kind, sel.user))
		case q.Actor != nil:
			sel.indexes = append(sel.indexes, k.actor(sel.actor))
		case q.Impersonations != nil:
			sel.indexes = append(sel.indexes, k.realm(kind, hashRealm(q.Realm)))
		}
	}
	return sel
}

func (sel *selection) matches(m *ref) bool {
	return (sel.user == "" || m.user == sel.user) && (sel.actor == "" || m.actor == sel.actor)
}

// name identifies the query in cursors.
func (sel *selection) name() string {
	kind := "both"
	if sel.query.Impersonations != nil {
		kind = fmt.Sprint(*sel.query.Impersonations)
	}
	return hash("list", sel.query.Realm, sel.user, sel.actor, kind)
}

func (sel *selection) writeCursor(last *sessions.Session) string {
	return storedrow.WriteCursor(sel.name(), place(last.CreatedAt)+escape(last.ID))
}

// readCursor returns the upper bound of what follows.
func (sel *selection) readCursor(cursor string) (before string, err error) {
	if cursor == "" {
		return strings.Repeat("\xff", 9), nil // after all entries
	}
	return storedrow.ReadCursor(sel.name(), cursor)
}

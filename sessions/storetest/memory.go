package storetest

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// Memory is a sessions.Store in memory, for tests and as an example of how to write a store: it
// fulfills the whole contract until the process ends. A single lock makes each method atomic. The
// zero value is ready to use.
type Memory struct {
	// Clock is the store's clock. Default: time.Now.
	Clock func() time.Time

	mu       sync.Mutex
	closed   bool
	identity string
	rows     map[sessions.Key]*sessions.Session // not shared
	revoked  map[sessions.Key]time.Time         // kept after the rows are deleted
	cutoffs  []revocation.Cutoff
	marks    map[sessions.Key]logout.Mark // by realm and name
}

// locked calls do with the store locked.
func locked[T any](ctx context.Context, m *Memory, do func() (T, error)) (none T, err error) {
	if err := ctx.Err(); err != nil {
		return none, fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return none, sessions.ErrClosed
	}
	return do()
}

// Close closes the store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Now returns the time of the store's clock.
func (m *Memory) Now() time.Time {
	now := m.Clock
	if now == nil {
		now = time.Now //nolint:forbidigo // the default of the clock
	}
	return now().UTC().Truncate(time.Millisecond)
}

// clone returns a deep copy of a row, by encoding and decoding it.
func clone(row *sessions.Session) (sessions.Session, error) {
	data, err := rowcodec.Encode(row)
	if err != nil {
		return sessions.Session{}, fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
	return rowcodec.Decode(row.Key(), data)
}

func (m *Memory) get(key sessions.Key) (sessions.Session, error) {
	if row := m.rows[key]; row != nil {
		return clone(row)
	}
	return sessions.Session{}, sessions.ErrNotFound
}

func (m *Memory) put(row *sessions.Session) (sessions.Session, error) {
	stored, err := clone(row)
	if err != nil {
		return sessions.Session{}, err
	}
	if m.rows == nil {
		m.rows, m.revoked = make(map[sessions.Key]*sessions.Session), make(map[sessions.Key]time.Time)
	}
	m.rows[row.Key()] = &stored
	if !row.RevokedAt.IsZero() {
		m.revoked[row.Key()] = row.RevokedAt
	}
	return clone(&stored)
}

// Create inserts the row unless its key exists.
func (m *Memory) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	stored, err = locked(ctx, m, func() (sessions.Session, error) {
		if m.rows[row.Key()] != nil {
			return m.get(row.Key())
		}
		if row.CreatedAt.IsZero() {
			row.Begin(m.Now(), m.place())
		}
		stored, err := m.put(&row)
		created = err == nil
		count = len(m.match(&sessions.Query{Realm: row.Realm, User: row.UserID, Impersonations: &row.Impersonation}))
		return stored, err
	})
	if !created {
		count = 0
	}
	return stored, created, count, err
}

// place returns the position of a session that begins now: after all cutoffs.
func (m *Memory) place() time.Time {
	place := m.Now()
	for _, c := range m.cutoffs {
		if after := c.At.Add(time.Millisecond); after.After(place) {
			place = after
		}
	}
	return place
}

// Get returns the row.
func (m *Memory) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	return locked(ctx, m, func() (sessions.Session, error) { return m.get(key) })
}

// Update runs fn once on the row and stores what it returns.
func (m *Memory) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	return locked(ctx, m, func() (sessions.Session, error) {
		row, err := m.get(key)
		if err != nil {
			return sessions.Session{}, err
		}
		next, write := fn(row, m.Now())
		if !write {
			return m.get(key)
		}
		next.Realm, next.ID = key.Realm, key.ID
		return m.put(&next)
	})
}

// match returns the rows that a query selects, in any order.
func (m *Memory) match(query *sessions.Query) (found []*sessions.Session) {
	for key, row := range m.rows {
		if key.Realm == query.Realm && matches(query, row) {
			found = append(found, row)
		}
	}
	return found
}

func matches(query *sessions.Query, row *sessions.Session) bool {
	return row.RevokedAt.IsZero() &&
		(query.User == "" || row.UserID == query.User) &&
		(query.Actor == nil || row.Impersonation && row.Actor == *query.Actor) &&
		(query.Impersonations == nil || row.Impersonation == *query.Impersonations)
}

func newestFirst(a, b *sessions.Session) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
}

// List returns a page of the rows that the query selects.
func (m *Memory) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	return locked(ctx, m, func() (sessions.Page, error) {
		return page(query.Cursor, queryName(&query), query.Limit, newestFirst, m.match(&query))
	})
}

// Scan returns a page of all rows, ordered by realm and id.
func (m *Memory) Scan(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
	byKey := func(a, b *sessions.Session) int {
		return cmp.Or(cmp.Compare(a.Realm, b.Realm), cmp.Compare(a.ID, b.ID))
	}
	return locked(ctx, m, func() (sessions.Page, error) {
		return page(cursor, "scan", limit, byKey, slices.Collect(maps.Values(m.rows)))
	})
}

// page returns the rows after a cursor, which names the last row of the previous page and the
// listing.
func page(cursor, of string, limit int, order func(a, b *sessions.Session) int, rows []*sessions.Session) (page sessions.Page, err error) {
	after, err := readCursor(cursor, of)
	if err != nil {
		return page, err
	}
	slices.SortFunc(rows, order)
	for _, row := range rows {
		if after != nil && order(row, after) <= 0 {
			continue
		}
		if len(page.Sessions) == max(limit, 1) {
			page.Next = writeCursor(&page.Sessions[len(page.Sessions)-1], of)
			break
		}
		own, err := clone(row)
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions = append(page.Sessions, own)
	}
	return page, nil
}

// A memoryCursor is the content of a cursor. Names are bytes, since they may be invalid UTF-8.
type memoryCursor struct {
	Of, Realm, ID []byte
	Created       int64
}

// queryName identifies the query in cursors.
func queryName(q *sessions.Query) string {
	data, _ := json.Marshal([]any{q.Actor, q.Impersonations})
	return fmt.Sprintf("%q %q %q", q.Realm, q.User, data)
}

func writeCursor(last *sessions.Session, of string) string {
	data, _ := json.Marshal(memoryCursor{[]byte(of), []byte(last.Realm), []byte(last.ID), last.CreatedAt.UnixMilli()})
	return base64.RawURLEncoding.EncodeToString(data)
}

func readCursor(cursor, of string) (last *sessions.Session, err error) {
	if cursor == "" {
		return nil, nil
	}
	var c memoryCursor
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(data, &c) != nil || string(c.Of) != of {
		return nil, sessions.ErrBadCursor
	}
	return &sessions.Session{Realm: string(c.Realm), ID: string(c.ID), CreatedAt: time.UnixMilli(c.Created)}, nil
}

// Sweep deletes rows that are due.
func (m *Memory) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (deleted int, err error) {
	var expired []*sessions.Session
	deleted, err = locked(ctx, m, func() (n int, err error) {
		maps.DeleteFunc(m.marks, func(_ sessions.Key, mark logout.Mark) bool { return mark.Over(m.Now()) })
		for key, row := range m.rows {
			if n == limit || row.PurgeAt().After(m.Now()) {
				continue
			}
			delete(m.rows, key)
			n++
			if row.RevokedAt.IsZero() {
				expired = append(expired, row)
			}
		}
		return n, nil
	})
	for _, row := range expired {
		if over != nil {
			over(row)
		}
	}
	return deleted, err
}

// Ping returns nil until the store is closed.
func (m *Memory) Ping(ctx context.Context) error {
	_, err := locked(ctx, m, func() (any, error) { return nil, nil })
	return err
}

// Realms returns the realms that have rows or cutoffs.
func (m *Memory) Realms(ctx context.Context) ([]string, error) {
	return locked(ctx, m, func() ([]string, error) {
		realms := make(map[string]bool)
		for key := range m.rows {
			realms[key.Realm] = true
		}
		for _, c := range m.cutoffs {
			realms[c.Realm] = true
		}
		for key := range m.marks {
			realms[key.Realm] = true
		}
		return slices.Collect(maps.Keys(realms)), nil
	})
}

// Interface guards
var (
	_ sessions.Store      = (*Memory)(nil)
	_ sessions.AdminStore = (*Memory)(nil)
)

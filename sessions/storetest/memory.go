package storetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/rowcodec"
)

// Memory is a sessions.Store that keeps everything in memory and nothing for
// long: Create and Update outlive no process. Its zero value is ready to use.
type Memory struct {
	// Clock is the store's clock; nil is time.Now.
	Clock func() time.Time

	mu       sync.Mutex
	closed   bool
	rows     map[sessions.Key][]byte // as rowcodec.Encode gave them, so that no row is aliased
	identity string
	cutoffs  map[memoryCutoff][]byte // as rowcodec.EncodeCutoff gave them
	ended    map[sessions.Key]time.Time
	read     map[sessions.Key]*readRow // rows that were decoded, to match them again
}

// A readRow is what a row was decoded to. Nobody outside gets it.
type readRow struct {
	of  *byte // the first of its encoding
	row sessions.Session
}

// Create puts the row if no row of that key exists.
func (m *Memory) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	if err := m.lock(ctx); err != nil {
		return sessions.Session{}, false, 0, err
	}
	defer m.mu.Unlock()
	if _, taken := m.rows[row.Key()]; taken {
		stored, err := m.get(row.Key())
		return stored, false, 0, err
	}
	if row.CreatedAt.IsZero() {
		m.begin(&row)
	}
	if stored, err = m.put(&row); err != nil {
		return stored, false, 0, err
	}
	found, err := m.match(&sessions.Query{Realm: row.Realm, User: row.UserID, Impersonations: &row.Impersonation})
	return stored, err == nil, len(found), err
}

// Get returns the row, or sessions.ErrNotFound.
func (m *Memory) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	if err := m.lock(ctx); err != nil {
		return sessions.Session{}, err
	}
	defer m.mu.Unlock()
	return m.get(key)
}

// Update runs fn once on the row and stores what it returns.
func (m *Memory) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	if err := m.lock(ctx); err != nil {
		return sessions.Session{}, err
	}
	defer m.mu.Unlock()
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
}

// List returns a page of the rows that match.
func (m *Memory) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	after, err := m.readCursor(&query)
	if err != nil {
		return sessions.Page{}, err
	}
	if err := m.lock(ctx); err != nil {
		return sessions.Page{}, err
	}
	defer m.mu.Unlock()
	found, err := m.match(&query)
	if err != nil {
		return sessions.Page{}, err
	}
	slices.SortFunc(found, newestFirst)
	if after != nil {
		found = slices.DeleteFunc(found, func(s *sessions.Session) bool { return newestFirst(s, after) <= 0 })
	}
	var page sessions.Page
	if limit := max(query.Limit, 1); len(found) > limit {
		found = found[:limit:limit]
		page.Next = writeCursor(&query, found[limit-1])
	}
	for _, row := range found {
		own, err := m.get(row.Key())
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions = append(page.Sessions, own)
	}
	return page, nil
}

// Sweep deletes rows that are due.
func (m *Memory) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
	if err := m.lock(ctx); err != nil {
		return 0, err
	}
	deleted, expired, err := m.sweep(limit)
	m.mu.Unlock()
	for i := range expired {
		if over != nil {
			over(&expired[i])
		}
	}
	return deleted, err
}

func (m *Memory) sweep(limit int) (deleted int, expired []sessions.Session, err error) {
	now := m.Now()
	for key := range m.rows {
		if deleted >= limit {
			break
		}
		row, err := m.get(key)
		if err != nil {
			return deleted, expired, err
		}
		if row.PurgeAt().After(now) {
			continue
		}
		delete(m.rows, key)
		deleted++
		if row.RevokedAt.IsZero() {
			expired = append(expired, row)
		}
	}
	return deleted, expired, nil
}

// Now is the store's clock.
func (m *Memory) Now() time.Time {
	now := m.Clock
	if now == nil {
		now = time.Now //nolint:forbidigo // the default of the clock
	}
	return now().UTC().Truncate(time.Millisecond)
}

// Close ends the store: each method returns sessions.ErrClosed from now on.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.rows, m.cutoffs, m.ended = true, nil, nil, nil
	return nil
}

// lock takes the store for one operation, unless there is none to be had.
func (m *Memory) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return sessions.ErrClosed
	}
	return nil
}

func (m *Memory) get(key sessions.Key) (sessions.Session, error) {
	data, ok := m.rows[key]
	if !ok {
		return sessions.Session{}, sessions.ErrNotFound
	}
	return rowcodec.Decode(key, data)
}

func (m *Memory) put(row *sessions.Session) (sessions.Session, error) {
	data, err := rowcodec.Encode(row)
	if err != nil {
		return sessions.Session{}, fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
	if m.rows == nil {
		m.rows = make(map[sessions.Key][]byte)
	}
	m.rows[row.Key()] = data
	m.remember(row)
	return m.get(row.Key())
}

// match returns all rows of the query, which are nobody else's, in no order.
func (m *Memory) match(query *sessions.Query) ([]*sessions.Session, error) {
	var found []*sessions.Session
	for key, data := range m.rows {
		if key.Realm != query.Realm {
			continue
		}
		row, err := m.decoded(key, data)
		if err != nil {
			return nil, err
		}
		if matches(query, row) {
			found = append(found, row)
		}
	}
	return found, nil
}

func (m *Memory) decoded(key sessions.Key, data []byte) (*sessions.Session, error) {
	if known, ok := m.read[key]; ok && known.of == &data[0] {
		return &known.row, nil
	}
	row, err := rowcodec.Decode(key, data)
	if m.read == nil {
		m.read = make(map[sessions.Key]*readRow)
	}
	m.read[key] = &readRow{of: &data[0], row: row}
	return &m.read[key].row, err
}

func matches(query *sessions.Query, row *sessions.Session) bool {
	switch {
	case !row.RevokedAt.IsZero(),
		query.User != "" && row.UserID != query.User,
		query.Actor != nil && (!row.Impersonation || row.Actor != *query.Actor),
		query.Impersonations != nil && row.Impersonation != *query.Impersonations:
		return false
	default:
		return true
	}
}

func newestFirst(a, b *sessions.Session) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
}

// memoryCursor is the last row of a page, and the query that it belongs to.
type memoryCursor struct {
	Query   []byte
	Created int64
	ID      []byte
}

// queryName tells queries apart whose pages do not continue each other.
func queryName(query *sessions.Query) []byte {
	q := *query
	q.Cursor, q.Limit, q.KeysOnly = "", 0, false
	return fmt.Appendf(nil, "%q %q %q %v", q.Realm, q.User, deref(q.Actor), deref(q.Impersonations))
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func writeCursor(query *sessions.Query, last *sessions.Session) string {
	data, _ := json.Marshal(memoryCursor{queryName(query), last.CreatedAt.UnixMilli(), []byte(last.ID)})
	return base64.RawURLEncoding.EncodeToString(data)
}

func (m *Memory) readCursor(query *sessions.Query) (*sessions.Session, error) {
	if query.Cursor == "" {
		return nil, nil
	}
	var c memoryCursor
	data, err := base64.RawURLEncoding.DecodeString(query.Cursor)
	if err != nil || json.Unmarshal(data, &c) != nil || !bytes.Equal(c.Query, queryName(query)) {
		return nil, sessions.ErrBadCursor
	}
	return &sessions.Session{ID: string(c.ID), CreatedAt: time.UnixMilli(c.Created)}, nil
}

// Interface guards
var _ sessions.Store = (*Memory)(nil)

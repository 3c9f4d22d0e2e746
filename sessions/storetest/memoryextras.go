package storetest

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// Revoked tells what was ended from since on. It remembers for ever.
func (m *Memory) Revoked(ctx context.Context, since time.Time, tell func(key sessions.Key, at time.Time)) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	ended := maps.Clone(m.ended)
	m.mu.Unlock()
	for key, at := range ended {
		if !at.Before(since) {
			tell(key, at)
		}
	}
	return nil
}

// Identity returns a text that each Memory has for itself.
func (m *Memory) Identity(ctx context.Context) (string, error) {
	if err := m.lock(ctx); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	if m.identity == "" {
		m.identity = revocation.NewIdentity()
	}
	return m.identity, nil
}

// Ping returns nil until the store is closed.
func (m *Memory) Ping(ctx context.Context) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	m.mu.Unlock()
	return nil
}

// remember keeps when a row was ended.
func (m *Memory) remember(row *sessions.Session) {
	if row.RevokedAt.IsZero() {
		delete(m.ended, row.Key())
		return
	}
	if m.ended == nil {
		m.ended = make(map[sessions.Key]time.Time)
	}
	m.ended[row.Key()] = row.RevokedAt
}

// scanCursor is the last row of a page of Scan.
type scanCursor struct {
	Scanned bool
	Realm   []byte
	ID      []byte
}

// Scan returns a page of all rows, by realm and id.
func (m *Memory) Scan(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
	after, err := readScanCursor(cursor)
	if err != nil {
		return sessions.Page{}, err
	}
	if err := m.lock(ctx); err != nil {
		return sessions.Page{}, err
	}
	defer m.mu.Unlock()
	var page sessions.Page
	for _, key := range slices.SortedFunc(maps.Keys(m.rows), byKey) {
		if after != nil && byKey(key, *after) <= 0 {
			continue
		}
		if len(page.Sessions) == max(limit, 1) {
			last := &page.Sessions[len(page.Sessions)-1]
			data, _ := json.Marshal(scanCursor{true, []byte(last.Realm), []byte(last.ID)})
			page.Next = base64.RawURLEncoding.EncodeToString(data)
			break
		}
		row, err := m.get(key)
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions = append(page.Sessions, row)
	}
	return page, nil
}

func readScanCursor(cursor string) (*sessions.Key, error) {
	if cursor == "" {
		return nil, nil
	}
	var c scanCursor
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(data, &c) != nil || !c.Scanned {
		return nil, sessions.ErrBadCursor
	}
	return &sessions.Key{Realm: string(c.Realm), ID: string(c.ID)}, nil
}

func byKey(a, b sessions.Key) int {
	return cmp.Or(strings.Compare(a.Realm, b.Realm), strings.Compare(a.ID, b.ID))
}

// Realms returns the realms that have rows or cutoffs.
func (m *Memory) Realms(ctx context.Context) ([]string, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	realms := make(map[string]bool)
	for key := range m.rows {
		realms[key.Realm] = true
	}
	for key := range m.cutoffs {
		realms[key.realm] = true
	}
	return slices.Collect(maps.Keys(realms)), nil
}

// Interface guards
var (
	_ revocation.Store    = (*Memory)(nil)
	_ sessions.AdminStore = (*Memory)(nil)
)

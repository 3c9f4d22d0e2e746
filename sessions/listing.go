package sessions

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A listing reads the sessions of a realm page by page. A cursor contains the position of a session
// that the client may not be allowed to see, so it is encrypted for the client with a key derived
// from secret.
type listing struct {
	store  Store
	realm  string
	secret []byte
}

// page returns a page of the rows that any of the queries selects, without duplicates, newest
// first. A single query is passed on as it is. Two are merged from a page of each: rows that do not
// fit are read again for the next page, which skips everything up to the last row of this one.
func (l listing) page(ctx context.Context, queries []Query, cursor string, limit int) (page Page, err error) {
	if len(queries) == 1 {
		query := queries[0]
		query.Cursor, query.Limit = cursor, limit
		if page, err = l.store.List(ctx, query); err != nil {
			return Page{}, fmt.Errorf("listing sessions: %w", err)
		}
		return page, nil
	}
	at := &union{Parts: make([]unionPart, len(queries))}
	if cursor != "" && (json.Unmarshal([]byte(cursor), at) != nil || len(at.Parts) != len(queries)) {
		return Page{}, ErrBadCursor
	}
	for len(page.Sessions) < limit {
		var best *Session
		for i, query := range queries {
			query.Limit = limit
			if err := l.fill(ctx, query, &at.Parts[i], at); err != nil {
				return Page{}, fmt.Errorf("listing sessions: %w", err)
			}
			if rows := at.Parts[i].rows; len(rows) > 0 && (best == nil || newer(&rows[0], best)) {
				best = &rows[0]
			}
		}
		if best == nil {
			return page, nil
		}
		page.Sessions = append(page.Sessions, *best)
		at.Created, at.ID = best.CreatedAt.UnixMilli(), []byte(best.ID)
		for i := range at.Parts {
			at.Parts[i].drop(at)
		}
	}
	if slices.ContainsFunc(at.Parts, func(p unionPart) bool { return !p.Over }) {
		data, _ := json.Marshal(at) // every field has a JSON form
		page.Next = string(data)
	}
	return page, nil
}

// union is the position of a merged listing.
type union struct {
	Parts []unionPart `json:"q"`
	// Created and ID are those of the last row that was returned.
	Created int64  `json:"at"`
	ID      []byte `json:"id"`
}

// unionPart is the page that a listing of one query has come to; Over is set after the last.
type unionPart struct {
	Cursor string `json:"c,omitempty"`
	Over   bool   `json:"o,omitempty"`

	rows []Session // of the page, not returned yet
	next string    // cursor of the page after it
}

// hasReturned reports whether the row, or one after it, has been returned.
func (u *union) hasReturned(s *Session) bool {
	return u.ID != nil && !newer(&Session{CreatedAt: time.UnixMilli(u.Created), ID: string(u.ID)}, s)
}

// newer reports whether a comes before b in a listing.
func newer(a, b *Session) bool {
	if order := a.CreatedAt.Compare(b.CreatedAt); order != 0 {
		return order > 0
	}
	return a.ID > b.ID
}

// fill reads pages until the part has a row, or is over.
func (l listing) fill(ctx context.Context, query Query, p *unionPart, at *union) error {
	for !p.Over && len(p.rows) == 0 {
		query.Cursor = p.Cursor
		page, err := l.store.List(ctx, query)
		if err != nil {
			return err
		}
		p.rows, p.next = page.Sessions, page.Next
		p.drop(at)
	}
	return nil
}

// drop removes the rows that have been returned, and moves on at the end of the page.
func (p *unionPart) drop(at *union) {
	for len(p.rows) > 0 && at.hasReturned(&p.rows[0]) {
		p.rows = p.rows[1:]
	}
	if len(p.rows) == 0 {
		p.Cursor, p.Over = p.next, p.next == ""
	}
}

func (l listing) cipher() cipher.AEAD {
	mac := hmac.New(sha256.New, l.secret)
	writeParts(mac, "cursor", l.realm)
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // it is AES
	}
	return seal
}

// seal encrypts a cursor of the store for the client; "" stays "".
func (l listing) seal(cursor string) string {
	if cursor == "" {
		return ""
	}
	sealed := l.cipher().Seal(nil, nil, []byte(cursor), nil) //nolint:gosec // it makes its own random nonce
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// open decrypts what seal returned, or returns ErrBadCursor.
func (l listing) open(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", ErrBadCursor
	}
	cursor, err := l.cipher().Open(nil, nil, sealed, nil)
	if err != nil {
		return "", ErrBadCursor
	}
	return string(cursor), nil
}

// A selection is the live sessions that a filter selects and a caller may see.
type selection struct {
	*Manager

	rights *Rights
	filter Filter
}

// walk calls visit for each of them, newest first, reading at most that many pages of the store. rows
// returns the size of the next page; walk stops when it is 0, or at a session created at end or
// before. next is the cursor to continue from.
func (l *selection) walk(ctx context.Context, cursor string, pages int, rows func() int, end time.Time, visit func(*Session)) (next string, err error) {
	queries, listing := l.rights.queries(l.Realm, l.filter), l.listing()
	if next, err = listing.open(cursor); err != nil {
		return "", err
	}
	now := l.Store.Now()
	for range pages {
		page, err := listing.page(ctx, queries, next, rows())
		if err != nil {
			return "", err
		}
		for i := range page.Sessions {
			s := &page.Sessions[i]
			if !s.CreatedAt.After(end) {
				return "", nil // all others are older
			}
			if l.filter.Covers(s) && l.isLive(s, now) && l.rights.Over(s) {
				visit(s)
			}
		}
		if next = page.Next; next == "" || rows() <= 0 {
			break
		}
	}
	return listing.seal(next), nil
}

// revocable returns the keys of live sessions that the filter selects and the caller may revoke. It
// reads whole pages, until it has revokeStep keys or has read that many. next is the cursor of
// the following page.
func (l *selection) revocable(ctx context.Context, cursor string, pages int) (keys []Key, next string, err error) {
	rows := func() int {
		if len(keys)+revokePage > revokeStep {
			return 0
		}
		return revokePage
	}
	over := l.Revocations.RevokedUntil(l.Realm, &l.filter)
	next, err = l.walk(ctx, cursor, pages, rows, over, func(s *Session) { keys = append(keys, s.Key()) })
	return keys, next, err
}

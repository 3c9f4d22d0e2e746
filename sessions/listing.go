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
func (l listing) page(ctx context.Context, queries []Query, cursor string, limit int) (Page, error) {
	if len(queries) == 1 {
		query := queries[0]
		query.Cursor, query.Limit = cursor, limit
		page, err := l.store.List(ctx, query)
		if err != nil {
			return Page{}, fmt.Errorf("listing sessions: %w", err)
		}
		return page, nil
	}
	at, err := readUnion(cursor, len(queries))
	if err != nil {
		return Page{}, err
	}
	streams := make([]stream, len(queries))
	for i, query := range queries {
		query.Limit = limit
		if streams[i], err = l.read(ctx, query, at, i); err != nil {
			return Page{}, fmt.Errorf("listing sessions: %w", err)
		}
	}
	return mergeStreams(streams, at, limit), nil
}

// union is the position of a merged listing.
type union struct {
	Parts []unionPart `json:"q"`
	// Created and ID are those of the last row that was returned.
	Created int64  `json:"at"`
	ID      []byte `json:"id"`
}

// unionPart is where the next page of one query begins; Over is set after the last.
type unionPart struct {
	Cursor string `json:"c,omitempty"`
	Over   bool   `json:"o,omitempty"`
}

func readUnion(cursor string, parts int) (*union, error) {
	at := &union{Parts: make([]unionPart, parts)}
	if cursor == "" {
		return at, nil
	}
	if err := json.Unmarshal([]byte(cursor), at); err != nil || len(at.Parts) != parts {
		return nil, ErrBadCursor
	}
	return at, nil
}

// gave reports whether the row, or one after it, has been returned.
func (u *union) gave(s *Session) bool {
	return u.ID != nil && !newer(&Session{CreatedAt: time.UnixMilli(u.Created), ID: string(u.ID)}, s)
}

// newer reports whether a comes before b in a listing.
func newer(a, b *Session) bool {
	if order := a.CreatedAt.Compare(b.CreatedAt); order != 0 {
		return order > 0
	}
	return a.ID > b.ID
}

// A stream is the rows read for one query.
type stream struct {
	rows  []Session
	begin string // of the page
	next  unionPart
}

// read reads the rows of one query that have not been returned: a page, or the rest of one.
func (l listing) read(ctx context.Context, query Query, at *union, part int) (stream, error) {
	s := stream{next: at.Parts[part]}
	for !s.next.Over && len(s.rows) == 0 {
		s.begin, query.Cursor = s.next.Cursor, s.next.Cursor
		page, err := l.store.List(ctx, query)
		if err != nil {
			return s, err
		}
		for i := range page.Sessions {
			if !at.gave(&page.Sessions[i]) {
				s.rows = append(s.rows, page.Sessions[i])
			}
		}
		s.next = unionPart{Cursor: page.Next, Over: page.Next == ""}
	}
	return s, nil
}

// mergeStreams takes the newest rows of all streams.
func mergeStreams(streams []stream, at *union, limit int) (page Page) {
	for len(page.Sessions) < limit {
		var best *Session
		for i := range streams {
			if rows := streams[i].rows; len(rows) > 0 && (best == nil || newer(&rows[0], best)) {
				best = &rows[0]
			}
		}
		if best == nil {
			break
		}
		row := *best
		page.Sessions = append(page.Sessions, row)
		at.Created, at.ID = row.CreatedAt.UnixMilli(), []byte(row.ID)
		dry := false
		for i := range streams {
			s := &streams[i]
			if len(s.rows) > 0 && s.rows[0].ID == row.ID {
				s.rows = s.rows[1:]
				dry = dry || len(s.rows) == 0 && !s.next.Over
			}
		}
		if dry { // its next rows may be newer than those of the others
			break
		}
	}
	more := false
	for i := range streams {
		at.Parts[i] = streams[i].next
		if len(streams[i].rows) > 0 {
			at.Parts[i] = unionPart{Cursor: streams[i].begin}
		}
		more = more || !at.Parts[i].Over
	}
	if more {
		data, _ := json.Marshal(at) // every field has a JSON form
		page.Next = string(data)
	}
	return page
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

// walk calls visit for each of them, newest first, reading at most pages pages of the store. rows
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
			if l.filter.Covers(s) && l.live(s, now) && l.rights.Over(s) {
				visit(s)
			}
		}
		if next = page.Next; next == "" || rows() <= 0 {
			break
		}
	}
	return listing.seal(next), nil
}

package sessions

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// page returns a page of the rows that any of the queries selects, each once, newest
// first. One query is asked as it is. Of two, a page of each is merged: what does not
// fit is read again for the next page, and left out up to the last row of this one.
func (m *Manager) page(ctx context.Context, queries []Query, cursor string, limit int) (Page, error) {
	if len(queries) == 1 {
		query := queries[0]
		query.Cursor, query.Limit = cursor, limit
		page, err := m.Store.List(ctx, query)
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
		if streams[i], err = m.read(ctx, query, at, i); err != nil {
			return Page{}, fmt.Errorf("listing sessions: %w", err)
		}
	}
	return mergeStreams(streams, at, limit), nil
}

// union is where a merged listing is.
type union struct {
	Parts []unionPart `json:"q"`
	// Created and ID are of the last row that was given out.
	Created int64  `json:"at"`
	ID      []byte `json:"id"`
}

// unionPart is where the next page of one query begins; Over after the last.
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

// gave reports whether the row was given out before, or stands before one that was.
func (u *union) gave(s *Session) bool {
	return u.ID != nil && !newer(&Session{CreatedAt: time.UnixMilli(u.Created), ID: string(u.ID)}, s)
}

// newer reports whether a stands before b in a listing.
func newer(a, b *Session) bool {
	if order := a.CreatedAt.Compare(b.CreatedAt); order != 0 {
		return order > 0
	}
	return a.ID > b.ID
}

// A stream is what was read of one query.
type stream struct {
	rows  []Session
	begin string // of the page
	next  unionPart
}

// read reads the rows of one query that are not given out yet: a page of them, or
// what is left of one.
func (m *Manager) read(ctx context.Context, query Query, at *union, part int) (stream, error) {
	s := stream{next: at.Parts[part]}
	for !s.next.Over && len(s.rows) == 0 {
		s.begin, query.Cursor = s.next.Cursor, s.next.Cursor
		page, err := m.Store.List(ctx, query)
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

// mergeStreams takes the newest rows of all.
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
		if dry { // what comes next there may be newer than what the others have
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
		data, _ := json.Marshal(at) // it has nothing that cannot be
		page.Next = string(data)
	}
	return page
}

package pgstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/storedrow"
)

// List returns a page of the rows that match.
func (s *Store) List(ctx context.Context, query sessions.Query) (page sessions.Page, err error) {
	sel := selection{query: &query, args: args(query.Realm), limit: max(query.Limit, 1)}
	after, err := readCursor(sel.name(), query.Cursor)
	if err != nil {
		return page, err
	}
	sql := sel.sql(s.sql.schema, after)
	if sql == "" {
		return page, nil
	}
	key, found := sessions.Key{Realm: query.Realm}, new(foundRow)
	into := found.columns((*text)(&key.ID))
	if query.KeysOnly {
		into = into[:2]
	}
	page.Sessions, err = collect(ctx, s.do, sql, sel.args, func() (row sessions.Session, err error) {
		if found.row.Realm, found.row.ID = key.Realm, key.ID; !query.KeysOnly {
			err = found.decode(key)
		}
		return found.row, err
	}, into...)
	if err != nil {
		return sessions.Page{}, err
	}
	slices.SortFunc(page.Sessions, func(a, b sessions.Session) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
	})
	if len(page.Sessions) > sel.limit {
		page.Sessions = page.Sessions[:sel.limit:sel.limit]
		page.Next = writeCursor(sel.name(), &page.Sessions[sel.limit-1])
	}
	return page, nil
}

// A selection builds the statement for a query. Each part of it reads one index in order, no
// further than a page plus what was created in the same millisecond as its last row: the last page
// of a million rows costs as much as the first. Only all own sessions of a realm, which nobody but
// audits asks for, have no index.
type selection struct {
	query *sessions.Query
	args  []any
	limit int
}

// arg adds an argument and returns its placeholder.
func (sel *selection) arg(value any) string {
	sel.args = append(sel.args, value)
	return fmt.Sprintf("$%d", len(sel.args))
}

// sql returns the statement; "" if nothing can match.
func (sel *selection) sql(schema string, after *place) string {
	where := sel.where()
	if len(where) == 0 {
		return ""
	}
	at := "created_at"
	if sel.query.User == "" && sel.query.Actor == nil {
		at = "(created_at + 0)" // as in the index of impersonations
	}
	more := ""
	if after != nil {
		more = fmt.Sprintf(" AND (%s, id) < (%s, %s)", at, sel.arg(after.created), sel.arg([]byte(after.id)))
	}
	what := "id, created_at"
	if !sel.query.KeysOnly {
		what = "id, " + columns
	}
	limit := sel.arg(sel.limit + 1)
	for i := range where {
		where[i] = fmt.Sprintf("(SELECT %s FROM %s.sessions WHERE %s AND revoked_at IS NULL AND %s%s ORDER BY %s DESC FETCH FIRST %s ROWS WITH TIES)",
			what, schema, inRealm("$1"), where[i], more, at, limit)
	}
	return strings.Join(where, " UNION ALL ")
}

// where returns the condition for each part of the statement.
func (sel *selection) where() []string {
	q := sel.query
	own := q.Actor == nil && (q.Impersonations == nil || !*q.Impersonations)
	imp := q.Impersonations == nil || *q.Impersonations
	match := ""
	if q.User != "" {
		match += " AND user_key = " + sel.arg(hashUser(q.User))
	}
	if q.Actor != nil {
		match += " AND actor_key = " + sel.arg(hashActor(q.Actor))
	}
	if match == "" && q.Impersonations == nil {
		return nil
	}
	var parts []string
	if own {
		parts = append(parts, "NOT impersonation"+match)
	}
	if imp {
		parts = append(parts, "impersonation"+match)
	}
	return parts
}

// name is different for queries whose pages do not continue each other.
func (sel *selection) name() string {
	q := sel.query
	parts := []string{q.Realm, q.User}
	if q.Actor != nil {
		parts = append(parts, "actor", q.Actor.Issuer, q.Actor.Subject)
	}
	if q.Impersonations != nil {
		parts = append(parts, fmt.Sprint(*q.Impersonations))
	}
	return string(storedrow.Hash(parts...))
}

// A place is the position where a page ended.
type place struct {
	created int64
	id      string
}

func writeCursor(query string, last *sessions.Session) string {
	return storedrow.WriteCursor(query, string(binary.BigEndian.AppendUint64(nil, uint64(millis(last.CreatedAt))))+last.ID)
}

// readCursor reads what writeCursor gave for that query; nil is the beginning.
func readCursor(query, cursor string) (*place, error) {
	if cursor == "" {
		return nil, nil
	}
	at, err := storedrow.ReadCursor(query, cursor)
	if err != nil || len(at) < 8 {
		return nil, sessions.ErrBadCursor
	}
	return &place{created: int64(binary.BigEndian.Uint64([]byte(at[:8]))), id: at[8:]}, nil
}

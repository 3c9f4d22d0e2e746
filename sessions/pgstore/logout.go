package pgstore

import (
	"context"
	"slices"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
)

var (
	// sqlNamed reads two indexes. A name is in only one of them.
	sqlNamed = say(`SELECT id FROM {s}.sessions WHERE {in $1} AND sid_name = $2 AND revoked_at IS NULL
UNION ALL SELECT id FROM {s}.sessions WHERE {in $1} AND sub_name = $2 AND revoked_at IS NULL`)

	sqlLive = say(`SELECT id, {columns} FROM {s}.sessions WHERE realm = $1 AND revoked_at IS NULL AND id = ANY($2)`)

	// sqlMark keeps the later times of the existing and the new mark.
	sqlMark = say(`INSERT INTO {s}.marks AS m (realm, name, at, until) VALUES ($1, $2, $3, $4)
ON CONFLICT (realm, name) DO UPDATE SET at = greatest(m.at, excluded.at), until = greatest(m.until, excluded.until)`)

	sqlMarks = say(`SELECT name, at, until FROM {s}.marks, {now} WHERE realm = $2 AND until > clock.ms AND name = ANY($3)`)

	sqlEachMark = say(`SELECT name, at, until FROM {s}.marks, {now} WHERE realm = $2 AND until > clock.ms AND name >= $3 ORDER BY name LIMIT $4`)

	sqlSweepMarks = say(`DELETE FROM {s}.marks WHERE (realm, name) IN (
	SELECT realm, name FROM {s}.marks WHERE until <= (SELECT ms FROM {now}) ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)`)
)

// Named passes the rows with the name to page. It first reads their ids, so that no connection is
// held while page runs.
func (s *Store) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	ids, err := s.texts(ctx, s.do, sqlNamed, args(realm, name))
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, logout.MaxRows) {
		rows, err := s.live(ctx, realm, some)
		if err != nil {
			return err
		}
		if err := page(rows); err != nil {
			return err
		}
	}
	return nil
}

// live reads the unrevoked rows with these ids.
func (s *Store) live(ctx context.Context, realm string, ids []string) ([]sessions.Session, error) {
	key, found := sessions.Key{Realm: realm}, new(foundRow)
	return collect(ctx, s.do, s.text(sqlLive), args(realm, texts(ids)), func() (sessions.Session, error) {
		err := found.decode(key)
		return found.row, err
	}, found.columns((*text)(&key.ID))...)
}

// Mark stores marks, one after the other.
func (s *Store) Mark(ctx context.Context, realm string, marks []logout.Mark) error {
	for _, m := range marks {
		if err := s.exec(ctx, s.text(sqlMark), args(realm, m.Name, millis(m.At), millis(m.Until))); err != nil {
			return err
		}
	}
	return nil
}

// Marks returns the marks with these names that are not over.
func (s *Store) Marks(ctx context.Context, realm string, names []string) (marks []logout.Mark, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	return s.readMarks(ctx, sqlMarks, s.timed(realm, texts(names)))
}

func (s *Store) readMarks(ctx context.Context, sql statement, a []any) ([]logout.Mark, error) {
	var m logout.Mark
	return collect(ctx, s.do, s.text(sql), a, func() (logout.Mark, error) { return m, nil }, (*text)(&m.Name), (*moment)(&m.At), (*moment)(&m.Until))
}

// EachMark passes the marks that are not over to page, ordered by name.
func (s *Store) EachMark(ctx context.Context, realm string, page func([]logout.Mark) error) error {
	for from := ""; ; {
		marks, err := s.readMarks(ctx, sqlEachMark, s.timed(realm, from, logout.MaxRows))
		if err != nil {
			return err
		}
		if err := page(marks); err != nil {
			return err
		}
		if len(marks) < logout.MaxRows {
			return nil
		}
		from = marks[len(marks)-1].Name + "\x00" // the smallest text after it
	}
}

// Interface guard
var _ logout.Store = (*Store)(nil)

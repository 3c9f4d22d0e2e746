package redisstore

import (
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/logout"
)

// A name is a sorted set of ids by the latest end of their rows. An id is added before its row is
// written and stays until then, so operations that end a row need not update it: each row is
// checked when it is read.

// nameMargin is how far the server's clock may be ahead of a node's estimate.
const nameMargin = time.Hour

// addNames adds the row's id to its names.
func (s *Store) addNames(ctx context.Context, row *sessions.Session) error {
	sid, subject := logout.Names(row)
	until := row.ExpiresAt.Add(nameMargin)
	if row.Pending != nil { // its life begins when it is opened
		until = until.Add(row.Pending.Life)
	}
	var all []func(context.Context) error
	for _, name := range [...]string{sid, subject} {
		if name != "" {
			all = append(all, s.scriptCall(s.lua.name, s.keys.named(hash("name", row.Realm, name)), row.ID, millis(until)))
		}
	}
	return concurrently(ctx, all)
}

// Named passes the rows with the name to page.
func (s *Store) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	ids, err := s.members(ctx, s.keys.named(hash("name", realm, name)))
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, min(listBatch, logout.MaxRows)) {
		keys := make([]sessions.Key, len(some))
		for i, id := range some {
			keys[i] = sessions.Key{Realm: realm, ID: id}
		}
		rows, err := s.readRows(ctx, keys, false, func(_ int, found *storedRow) bool {
			sid, subject := logout.Names(&found.row)
			return found.row.RevokedAt.IsZero() && (sid == name || subject == name)
		})
		if err != nil {
			return err
		}
		if err := page(rows); err != nil {
			return err
		}
	}
	return nil
}

// Mark stores marks.
func (s *Store) Mark(ctx context.Context, realm string, marks []logout.Mark) error {
	for _, m := range marks {
		if err := s.listMark(ctx, realm, &m); err != nil {
			return err
		}
		if _, err := s.run(ctx, s.lua.mark, s.keys.mark(hash("mark", realm, m.Name)), millis(m.At), millis(m.Until)); err != nil {
			return err
		}
	}
	return nil
}

// listMark adds a mark that is about to be stored where EachMark finds it, and its realm where
// Realms does: to sets like those of names.
func (s *Store) listMark(ctx context.Context, realm string, m *logout.Mark) error {
	until := millis(m.Until.Add(nameMargin))
	if _, err := s.run(ctx, s.lua.name, s.keys.realmsWithMarks(), realm, until); err != nil {
		return err
	}
	_, err := s.run(ctx, s.lua.name, s.keys.marks(hash("marks", realm)), m.Name, until)
	return err
}

// members reads a whole set.
func (s *Store) members(ctx context.Context, key string) ([]string, error) {
	results, err := s.ask(ctx, s.client.B().Zrange().Key(key).Min("0").Max("-1").Build())
	if err != nil {
		return nil, err
	}
	members, err := results[0].AsStrSlice()
	return members, unavailable(err)
}

// EachMark passes the marks that are not over to page.
func (s *Store) EachMark(ctx context.Context, realm string, page func([]logout.Mark) error) error {
	names, err := s.members(ctx, s.keys.marks(hash("marks", realm)))
	if err != nil {
		return err
	}
	for some := range slices.Chunk(names, min(listBatch, logout.MaxRows)) {
		marks, err := s.Marks(ctx, realm, some)
		if err != nil {
			return err
		}
		if err := page(marks); err != nil {
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
	commands := make([]rueidis.Completed, len(names))
	for i, name := range names {
		commands[i] = s.client.B().Hmget().Key(s.keys.mark(hash("mark", realm, name))).Field("at", "until").Build()
	}
	results, err := s.ask(ctx, commands...)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		values, err := results[i].ToArray()
		if err != nil || len(values) != 2 {
			return nil, calls.ErrCorrupt
		}
		if values[0].IsNil() {
			continue
		}
		r := &reader{values: values}
		if m := (logout.Mark{Name: name, At: r.time(), Until: r.time()}); r.err != nil {
			return nil, r.err
		} else if !m.Over(s.Now()) {
			marks = append(marks, m)
		}
	}
	return marks, nil
}

// Interface guard
var _ logout.Store = (*Store)(nil)

package storetest

import (
	"context"
	"slices"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
)

// Named passes the rows with the name to page.
func (m *Memory) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	rows, err := m.named(ctx, realm, name)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(rows, logout.MostRows) {
		if err := page(some); err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) named(ctx context.Context, realm, name string) ([]sessions.Session, error) {
	return locked(ctx, m, func() (rows []sessions.Session, err error) {
		for key, row := range m.rows {
			sid, subject := logout.Names(row)
			if key.Realm != realm || !row.RevokedAt.IsZero() || name != sid && name != subject {
				continue
			}
			own, err := clone(row)
			if err != nil {
				return nil, err
			}
			rows = append(rows, own)
		}
		return rows, nil
	})
}

// Mark stores marks.
func (m *Memory) Mark(ctx context.Context, realm string, marks []logout.Mark) error {
	_, err := locked(ctx, m, func() (none any, err error) {
		if m.marks == nil {
			m.marks = make(map[sessions.Key]logout.Mark)
		}
		for _, mark := range marks {
			key := sessions.Key{Realm: realm, ID: mark.Name}
			m.marks[key] = mark.Merge(m.marks[key])
		}
		return nil, nil
	})
	return err
}

// Marks returns the marks with these names that are not over.
func (m *Memory) Marks(ctx context.Context, realm string, names []string) ([]logout.Mark, error) {
	return locked(ctx, m, func() (marks []logout.Mark, err error) {
		for _, name := range names {
			if mark, ok := m.marks[sessions.Key{Realm: realm, ID: name}]; ok && !mark.Over(m.Now()) {
				marks = append(marks, mark)
			}
		}
		return marks, nil
	})
}

// EachMark passes the marks that are not over to page.
func (m *Memory) EachMark(ctx context.Context, realm string, page func([]logout.Mark) error) error {
	marks, err := locked(ctx, m, func() (marks []logout.Mark, err error) {
		for key, mark := range m.marks {
			if key.Realm == realm && !mark.Over(m.Now()) {
				marks = append(marks, mark)
			}
		}
		return marks, nil
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(marks, logout.MostRows) {
		if err := page(some); err != nil {
			return err
		}
	}
	return nil
}

// Interface guard
var _ logout.Store = (*Memory)(nil)

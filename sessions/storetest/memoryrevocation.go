package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
)

// Identity returns a text that no other Memory has.
func (m *Memory) Identity(ctx context.Context) (string, error) {
	return locked(ctx, m, func() (string, error) {
		m.identity = cmp.Or(m.identity, revocation.NewIdentity())
		return m.identity, nil
	})
}

// Revoked reports what was revoked since a time. It remembers everything.
func (m *Memory) Revoked(ctx context.Context, since time.Time, report func(key sessions.Key, at time.Time)) error {
	revoked, err := locked(ctx, m, func() (map[sessions.Key]time.Time, error) { return maps.Clone(m.revoked), nil })
	for key, at := range revoked {
		if !at.Before(since) {
			report(key, at)
		}
	}
	return err
}

// AddCutoff stores the cutoff. If it has no time, it gets one that is not before the newest
// session, whose position may be ahead of the clock.
func (m *Memory) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	return locked(ctx, m, func() (revocation.Cutoff, error) {
		if c.Empty() {
			return c, fmt.Errorf("%w: the cutoff selects everything", sessions.ErrUnavailable)
		}
		if c.At.IsZero() {
			c.At = m.Now()
			for _, row := range m.rows {
				if row.CreatedAt.After(c.At) {
					c.At = row.CreatedAt
				}
			}
		}
		m.cutoffs = append(slices.DeleteFunc(m.cutoffs, isCutoff(&c)), ownCutoff(c))
		return c, nil
	})
}

// Cutoffs returns the cutoffs of the realm, oldest first.
func (m *Memory) Cutoffs(ctx context.Context, realm string) ([]revocation.Cutoff, error) {
	return locked(ctx, m, func() (found []revocation.Cutoff, err error) {
		for _, c := range m.cutoffs {
			if c.Realm == realm {
				found = append(found, ownCutoff(c))
			}
		}
		slices.SortFunc(found, func(a, b revocation.Cutoff) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
		return found, nil
	})
}

// RemoveCutoff deletes a cutoff.
func (m *Memory) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	_, err := locked(ctx, m, func() (any, error) {
		m.cutoffs = slices.DeleteFunc(m.cutoffs, isCutoff(&c))
		return nil, nil
	})
	return err
}

func isCutoff(c *revocation.Cutoff) func(revocation.Cutoff) bool {
	return func(have revocation.Cutoff) bool {
		return have.Realm == c.Realm && have.At.Equal(c.At) && have.ID == c.ID
	}
}

// ownCutoff returns a deep copy.
func ownCutoff(c revocation.Cutoff) revocation.Cutoff {
	if c.Actor != nil {
		c.Actor = new(*c.Actor)
	}
	return c
}

// Named passes the rows with the name to page.
func (m *Memory) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	rows, err := m.named(ctx, realm, name)
	if err != nil {
		return err
	}
	return inPages(rows, page)
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
	return inPages(marks, page)
}

// inPages passes all to page, up to logout.MaxRows at a time.
func inPages[T any](all []T, page func([]T) error) error {
	for some := range slices.Chunk(all, logout.MaxRows) {
		if err := page(some); err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var (
	_ logout.Store     = (*Memory)(nil)
	_ revocation.Store = (*Memory)(nil)
)

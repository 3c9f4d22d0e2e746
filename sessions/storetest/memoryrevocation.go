package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"authsidecar/sessions"
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

// Interface guard
var _ revocation.Store = (*Memory)(nil)

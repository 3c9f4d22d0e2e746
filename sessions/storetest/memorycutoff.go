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
	"authsidecar/sessions/rowcodec"
)

// memoryCutoff is the key of a cutoff.
type memoryCutoff struct {
	realm string
	at    int64
	id    string
}

func cutoffKey(c *revocation.Cutoff) memoryCutoff {
	return memoryCutoff{c.Realm, c.At.UnixMilli(), c.ID}
}

// AddCutoff keeps the cutoff. One that has no time gets the store's, or that of the
// newest row.
func (m *Memory) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	if err := m.lock(ctx); err != nil {
		return c, err
	}
	defer m.mu.Unlock()
	data, err := rowcodec.EncodeCutoff(&c)
	if err != nil {
		return c, fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
	if c.At.IsZero() {
		c.At = m.Now()
		for key, data := range m.rows {
			row, err := m.decoded(key, data)
			if err != nil {
				return c, err
			}
			if row.CreatedAt.After(c.At) {
				c.At = row.CreatedAt
			}
		}
	}
	if m.cutoffs == nil {
		m.cutoffs = make(map[memoryCutoff][]byte)
	}
	m.cutoffs[cutoffKey(&c)] = data
	return c, nil
}

// begin sets the times of a row: its place is after all cutoffs.
func (m *Memory) begin(row *sessions.Session) {
	now := m.Now()
	place := now
	for key := range m.cutoffs {
		if after := time.UnixMilli(key.at + 1).UTC(); after.After(place) {
			place = after
		}
	}
	row.Begin(now, place)
}

// Cutoffs returns those of the realm, oldest first.
func (m *Memory) Cutoffs(ctx context.Context, realm string) ([]revocation.Cutoff, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var all []revocation.Cutoff
	for _, key := range slices.SortedFunc(maps.Keys(m.cutoffs), oldestFirst) {
		if key.realm != realm {
			continue
		}
		c, err := rowcodec.DecodeCutoff(realm, key.id, time.UnixMilli(key.at), m.cutoffs[key])
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// RemoveCutoff forgets a cutoff; that there is none is no error.
func (m *Memory) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.cutoffs, cutoffKey(&c))
	return nil
}

func oldestFirst(a, b memoryCutoff) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id))
}

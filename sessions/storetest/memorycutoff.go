package storetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"authsidecar/sessions"
)

// memoryCutoff is the key of a cutoff.
type memoryCutoff struct {
	realm string
	at    int64
	id    string
}

func cutoffKey(c *sessions.Cutoff) memoryCutoff {
	return memoryCutoff{c.Realm, c.At.UnixMilli(), c.ID}
}

// AddCutoff keeps the cutoff.
func (m *Memory) AddCutoff(ctx context.Context, c sessions.Cutoff) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	data, err := sessions.EncodeCutoff(&c)
	if err != nil {
		return fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
	if m.cutoffs == nil {
		m.cutoffs = make(map[memoryCutoff][]byte)
	}
	m.cutoffs[cutoffKey(&c)] = data
	return nil
}

// Cutoffs returns those of the realm, oldest first.
func (m *Memory) Cutoffs(ctx context.Context, realm string) ([]sessions.Cutoff, error) {
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var all []sessions.Cutoff
	for _, key := range slices.SortedFunc(maps.Keys(m.cutoffs), oldestFirst) {
		if key.realm != realm {
			continue
		}
		c, err := sessions.DecodeCutoff(realm, key.id, time.UnixMilli(key.at), m.cutoffs[key])
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// DropCutoff forgets a cutoff; that there is none is no error.
func (m *Memory) DropCutoff(ctx context.Context, c sessions.Cutoff) error {
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

// Interface guards
var _ sessions.CutoffStore = (*Memory)(nil)

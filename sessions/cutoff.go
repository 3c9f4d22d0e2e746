package sessions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Cutoff ends, at once, all sessions of a realm that a filter selects and that
// were created until then. The rows are swept after it.
type Cutoff struct {
	ID    string // unique
	Realm string
	Filter
	// At is the store's clock when it was made: later sessions are not ended.
	At time.Time
}

// Ends tells whether the cutoff ended the session.
func (c *Cutoff) Ends(s *Session) bool { return !s.CreatedAt.After(c.At) && c.Covers(s) }

// A CutoffStore is a Store that keeps cutoffs.
type CutoffStore interface {
	// AddCutoff keeps the cutoff. It survives a crash when it returns.
	AddCutoff(ctx context.Context, c Cutoff) error
	// Cutoffs returns those of the realm, oldest first.
	Cutoffs(ctx context.Context, realm string) ([]Cutoff, error)
	// DropCutoff forgets a cutoff; that there is none is no error.
	DropCutoff(ctx context.Context, c Cutoff) error
}

// cutoffRetention is how long a cutoff is kept after its rows are swept: longer
// than any access token from before it can live.
const cutoffRetention = revokedRetention

// LoadCutoffs reads the cutoffs that are in force. It is called before anything is
// asked of the manager; SweepCutoffs calls it again, for those of others who share
// the store.
func (m *Manager) LoadCutoffs(ctx context.Context) error {
	store, ok := m.Store.(CutoffStore)
	if !ok {
		return nil
	}
	stored, err := store.Cutoffs(ctx, m.Realm)
	if err != nil {
		return fmt.Errorf("reading cutoffs: %w", err)
	}
	m.changeCutoffs(func(all []Cutoff) []Cutoff {
		known := make(map[string]bool, len(all))
		for i := range all {
			known[all[i].ID] = true
		}
		return append(all, slices.DeleteFunc(slices.Clone(stored), func(c Cutoff) bool { return known[c.ID] })...)
	})
	return nil
}

// addCutoff makes a cutoff durable, and then in force.
func (m *Manager) addCutoff(ctx context.Context, store CutoffStore, c Cutoff) error {
	if err := store.AddCutoff(ctx, c); err != nil {
		return fmt.Errorf("storing cutoff: %w", err)
	}
	var older []Cutoff
	m.changeCutoffs(func(all []Cutoff) []Cutoff {
		older = older[:0]
		return append(slices.DeleteFunc(all, func(have Cutoff) bool {
			same := have.same(&c.Filter) && !have.At.After(c.At)
			if same {
				older = append(older, have)
			}
			return same
		}), c)
	})
	for _, old := range older { // the new one ends all that they did
		if err := store.DropCutoff(ctx, old); err != nil {
			return fmt.Errorf("dropping cutoff: %w", err)
		}
	}
	return nil
}

func (m *Manager) changeCutoffs(change func([]Cutoff) []Cutoff) {
	for {
		old := m.cutoffs.Load()
		var all []Cutoff
		if old != nil {
			all = slices.Clone(*old)
		}
		all = change(all)
		if m.cutoffs.CompareAndSwap(old, &all) {
			return
		}
	}
}

// cut tells whether a cutoff ended the session.
func (m *Manager) cut(s *Session) bool {
	all := m.cutoffs.Load()
	if all == nil {
		return false
	}
	for i := range *all {
		if (*all)[i].Ends(s) {
			return true
		}
	}
	return false
}

// live tells whether the session goes on.
func (m *Manager) live(s *Session, now time.Time) bool { return s.Live(now) && !m.cut(s) }

// SweepCutoffs ends the rows of the cutoffs in force, at most limit of them, and
// forgets those cutoffs whose rows are ended and whose access tokens are over. It
// returns how many it ended; fewer than limit means that nothing is left to end.
func (m *Manager) SweepCutoffs(ctx context.Context, limit int) (ended int, err error) {
	store, ok := m.Store.(CutoffStore)
	if !ok {
		return 0, nil
	}
	if err := m.LoadCutoffs(ctx); err != nil {
		return 0, err
	}
	for _, c := range *m.cutoffs.Load() {
		n, done, err := m.sweepCutoff(ctx, &c, limit-ended)
		ended += n
		if err != nil || !done {
			return ended, err
		}
		if m.Store.Now().Sub(c.At) < cutoffRetention {
			continue
		}
		if err := store.DropCutoff(ctx, c); err != nil {
			return ended, fmt.Errorf("dropping cutoff: %w", err)
		}
		m.changeCutoffs(func(all []Cutoff) []Cutoff {
			return slices.DeleteFunc(all, func(have Cutoff) bool { return have.ID == c.ID })
		})
	}
	return ended, nil
}

// sweepCutoff ends at most limit rows of one cutoff. done tells that none is
// left.
func (m *Manager) sweepCutoff(ctx context.Context, c *Cutoff, limit int) (ended int, done bool, err error) {
	query := c.query(m.Realm)
	query.Limit = sweepPage
	for {
		page, err := m.Store.List(ctx, query)
		if err != nil {
			return ended, false, fmt.Errorf("listing sessions: %w", err)
		}
		for i := range page.Sessions {
			s := &page.Sessions[i]
			if !c.Ends(s) {
				continue
			}
			if ended == limit {
				return ended, false, nil
			}
			if err := m.end(ctx, s.Key(), EndRevoked, ender{}); err != nil && !errors.Is(err, ErrNotFound) {
				return ended, false, err
			}
			ended++
		}
		if page.Next == "" {
			return ended, true, nil
		}
		query.Cursor = page.Next
	}
}

// sweepPage is how many rows are read at once to end them.
const sweepPage = 100

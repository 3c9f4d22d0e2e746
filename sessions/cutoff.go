package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Cutoff ends, at once, all sessions of a realm that a filter selects and that
// were created until then. The rows are swept after it.
type Cutoff struct {
	ID    string // unique
	Realm string
	Filter
	// At is when it was added, by the store's clock; CutoffStore says what else it
	// tells. Zero is one that was not added yet. Later sessions are not ended.
	At time.Time
	// By is who asked for it, for the log.
	By Principal
}

// ends tells whether the cutoff ended the session.
func (c *Cutoff) ends(f *Facts) bool { return !f.CreatedAt.After(c.At) && c.selects(f) }

// A CutoffStore is a Store that keeps cutoffs, and orders them with the sessions that
// begin: of a session whose Create returned before AddCutoff was called, CreatedAt is
// not after At; of one whose Create was called after AddCutoff returned, it is. That
// holds whichever nodes they were called on, whatever clocks say and however often two
// things happen in one millisecond. What is called at the same time may come in either
// order.
type CutoffStore interface {
	// AddCutoff keeps the cutoff, and returns it as it is kept: where it has no At,
	// the store gives it one, by its clock in the step that writes it. A cutoff that
	// has one is a copy. It survives a crash when AddCutoff returns.
	AddCutoff(ctx context.Context, c Cutoff) (Cutoff, error)
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
	return m.watch().loadCutoffs(ctx, m.Store, m.Realm)
}

// Newest returns the CreatedAt of the newest session that the cutoff may end, zero
// where there is none: a store whose clock may be set back adds it no sooner.
func (c *Cutoff) Newest(ctx context.Context, store Store) (time.Time, error) {
	query := c.query(c.Realm)
	query.Limit, query.KeysOnly = 1, true
	page, err := store.List(ctx, query)
	if err != nil || len(page.Sessions) == 0 {
		return time.Time{}, err
	}
	return page.Sessions[0].CreatedAt, nil
}

// addCutoff makes a cutoff durable, and then in force.
func (m *Manager) addCutoff(ctx context.Context, store CutoffStore, c Cutoff) error {
	c, err := store.AddCutoff(ctx, c)
	if err != nil {
		return fmt.Errorf("storing cutoff: %w", err)
	}
	for _, old := range m.watch().Deny.Cut(c) {
		// It does no harm if that fails: the new one ends all that the old one did,
		// and SweepCutoffs drops what is old.
		_ = store.DropCutoff(ctx, old)
	}
	return nil
}

// cut tells whether a cutoff ended the session.
func (m *Manager) cut(s *Session) bool {
	f := s.Facts()
	return m.watch().Deny.cutoffs.end(&f)
}

// live tells whether the session goes on.
func (m *Manager) live(s *Session, now time.Time) bool { return s.Live(now) && !m.cut(s) }

// SweepCutoffs ends the rows of the cutoffs in force, at most limit of them, and
// forgets the cutoffs that are older than any access token. It returns how many it
// ended; fewer than limit means that nothing is left to end. One at a time runs.
func (m *Manager) SweepCutoffs(ctx context.Context, limit int) (ended int, err error) {
	store, ok := As[CutoffStore](m.Store)
	if !ok {
		return 0, nil
	}
	if err := m.LoadCutoffs(ctx); err != nil {
		return 0, err
	}
	for _, c := range m.watch().Deny.Cutoffs(m.Realm) {
		old := m.Store.Now().Sub(c.At) >= cutoffRetention
		if m.swept[c.ID] && !old {
			continue
		}
		// Those that are old are swept once more: a row may have come in late.
		n, done, err := m.sweepCutoff(ctx, &c, limit-ended)
		ended += n
		if err != nil || !done {
			return ended, err
		}
		m.setSwept(c.ID, !old)
		if !old {
			continue
		}
		if err := store.DropCutoff(ctx, c); err != nil {
			return ended, fmt.Errorf("dropping cutoff: %w", err)
		}
		m.watch().Deny.Uncut(c)
	}
	return ended, nil
}

func (m *Manager) setSwept(id string, swept bool) {
	if m.swept == nil {
		m.swept = make(map[string]bool)
	}
	if m.swept[id] = swept; !swept {
		delete(m.swept, id)
	}
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
			if f := s.Facts(); !c.ends(&f) {
				continue
			}
			if ended == limit {
				return ended, false, nil
			}
			if err := m.end(ctx, s.Key(), EndRevoked, ender{by: c.By}); err != nil && !errors.Is(err, ErrNotFound) {
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

package revocation

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"authsidecar/sessions"
)

// Remember makes the access tokens of a row invalid if it was revoked, unless they have all
// expired.
func (w *Watcher) Remember(row *sessions.Session) {
	if !row.RevokedAt.IsZero() && row.RevokedAt.Sub(row.RotatedAt) < Retention {
		w.Deny.Add(row.Key(), row.RevokedAt)
	}
}

// RevokedByCutoff reports whether a cutoff revoked the session. It does no I/O.
func (w *Watcher) RevokedByCutoff(r sessions.Ref) bool { return w.Deny.cutoffs.revoke(&r) }

// RevokedUntil returns the latest time up to which a cutoff revokes everything that the filter
// selects; zero if no cutoff covers the filter.
func (w *Watcher) RevokedUntil(realm string, f *sessions.Filter) time.Time {
	return w.Deny.cutoffs.until(realm, f)
}

// KeepsCutoffs reports whether the store keeps cutoffs.
func (w *Watcher) KeepsCutoffs() bool {
	_, ok := sessions.As[Store](w.Store)
	return ok
}

// AddCutoff revokes everything that the filter selects. When it returns, the cutoff is durable and
// in force.
func (w *Watcher) AddCutoff(ctx context.Context, realm string, f sessions.Filter, by sessions.Principal) error {
	store, ok := sessions.As[Store](w.Store)
	if !ok {
		return fmt.Errorf("%w: %T keeps no cutoffs", sessions.ErrUnavailable, w.Store)
	}
	c, err := store.AddCutoff(ctx, Cutoff{ID: rand.Text(), Realm: realm, Filter: f, By: by})
	if err != nil {
		return fmt.Errorf("storing cutoff: %w", err)
	}
	defer w.wake(realm)
	for _, old := range w.add(c) {
		// A failure is harmless: the new cutoff revokes everything that the old one did, and
		// SweepCutoffs removes old ones.
		_ = store.RemoveCutoff(ctx, old)
	}
	return nil
}

// Added receives when a cutoff of the realm was added here, so that SweepCutoffs should be called.
func (w *Watcher) Added(realm string) <-chan struct{} { return w.added(realm) }

func (w *Watcher) wake(realm string) {
	select {
	case w.added(realm) <- struct{}{}:
	default: // already signaled
	}
}

func (w *Watcher) added(realm string) chan struct{} {
	adds, _ := w.adds.LoadOrStore(realm, make(chan struct{}, 1))
	return adds.(chan struct{})
}

// LoadCutoffs puts the stored cutoffs of a realm in force, and drops those that other nodes
// removed. Call it before anything else about the realm; SweepCutoffs, and a feed that reconnects,
// call it again.
func (w *Watcher) LoadCutoffs(ctx context.Context, realm string) error {
	store, ok := sessions.As[Store](w.Store)
	if !ok {
		return nil
	}
	w.loads.Store(realm, nil)
	stored, err := store.Cutoffs(ctx, realm)
	if err != nil {
		return fmt.Errorf("reading cutoffs: %w", err)
	}
	now := w.Store.Now()
	for _, c := range w.Deny.Cutoffs(realm) {
		removed := !slices.ContainsFunc(stored, func(have Cutoff) bool { return have.ID == c.ID })
		if removed && now.Sub(c.At) >= cutoffRetention {
			w.remove(c)
		}
	}
	for _, c := range stored {
		w.add(c)
	}
	return nil
}

// add puts a cutoff in force, and returns those that it replaces.
func (w *Watcher) add(c Cutoff) (replaced []Cutoff) {
	replaced = w.Deny.AddCutoff(c)
	for i := range replaced {
		w.swept.Delete(replaced[i].ID)
	}
	return replaced
}

// remove removes a cutoff that is no longer stored.
func (w *Watcher) remove(c Cutoff) {
	w.swept.Delete(c.ID)
	w.Deny.RemoveCutoff(c)
}

// load reads what was revoked within Retention, and the cutoffs.
func (w *Watcher) load(ctx context.Context) (err error) {
	store, ok := sessions.As[Store](w.Store)
	if !ok {
		return nil
	}
	if err := store.Revoked(ctx, w.Store.Now().Add(-Retention), w.Deny.Add); err != nil {
		return fmt.Errorf("reading what was revoked: %w", err)
	}
	w.loads.Range(func(realm, _ any) bool {
		err = w.LoadCutoffs(ctx, realm.(string))
		return err == nil
	})
	return err
}

// SweepCutoffs revokes at most limit of the rows that the cutoffs of m's realm select, and removes
// cutoffs that are older than any access token. It returns how many rows it revoked; fewer than
// limit means that none are left. Calls for the same realm must not overlap.
func (w *Watcher) SweepCutoffs(ctx context.Context, m *sessions.Manager, limit int) (revoked int, err error) {
	store, ok := sessions.As[Store](w.Store)
	if !ok {
		return 0, nil
	}
	if err := w.LoadCutoffs(ctx, m.Realm); err != nil {
		return 0, err
	}
	for _, c := range w.Deny.Cutoffs(m.Realm) {
		old := w.Store.Now().Sub(c.At) >= cutoffRetention
		if _, swept := w.swept.Load(c.ID); swept && !old {
			continue
		}
		// Sweep an old cutoff once more: a row may have been copied into the store since.
		n, done, err := w.sweepCutoff(ctx, &c, limit-revoked, m)
		revoked += n
		if err != nil || !done {
			return revoked, err
		}
		if !old {
			w.swept.Store(c.ID, nil)
			continue
		}
		if err := store.RemoveCutoff(ctx, c); err != nil {
			return revoked, fmt.Errorf("removing cutoff: %w", err)
		}
		w.remove(c)
	}
	return revoked, nil
}

// sweepPage is how many rows are read at a time to revoke them. In a store where a large commit
// costs no more than a small one, many are revoked together; a shared store also has other work.
const (
	sweepPage   = 256
	sweepJoin   = 128
	sweepShared = 8
)

// sweepCutoff revokes at most limit rows of one cutoff. done reports whether none are left.
func (w *Watcher) sweepCutoff(ctx context.Context, c *Cutoff, limit int, m *sessions.Manager) (revoked int, done bool, err error) {
	query, atOnce := c.Query(c.Realm), sweepJoin
	query.Limit = sweepPage
	if _, shared := sessions.As[Feed](w.Store); shared {
		atOnce = sweepShared
	}
	for {
		page, err := w.Store.List(ctx, query)
		if err != nil {
			return revoked, false, fmt.Errorf("listing sessions: %w", err)
		}
		var keys []sessions.Key
		for i := range page.Sessions {
			s := &page.Sessions[i]
			if r := s.Ref(); c.Revokes(&r) {
				keys = append(keys, s.Key())
			}
		}
		most := min(len(keys), limit-revoked)
		n, err := m.RevokeRows(ctx, keys[:most], atOnce, c.By)
		revoked += n
		if err != nil || most < len(keys) {
			return revoked, false, err
		}
		if page.Next == "" {
			return revoked, true, nil
		}
		query.Cursor = page.Next
	}
}

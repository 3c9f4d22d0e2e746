package revocation

import (
	"context"
	"time"

	"authsidecar/sessions"
)

// A Cutoff revokes at once all sessions of a realm that a filter selects and that were created up
// to a time. Their rows are revoked later (SweepCutoffs).
type Cutoff struct {
	ID    string // unique
	Realm string
	sessions.Filter
	// At is when it was added, by the store's clock (Store.AddCutoff). It does not revoke sessions
	// that were created later. Zero means that it has not been added yet.
	At time.Time
	// By is the party that requested it, for the log.
	By sessions.Principal
}

// cutoffRetention is how long a cutoff is kept after its rows are revoked: longer than any earlier
// access token can live, like the rows of revoked sessions.
const cutoffRetention = 2 * time.Hour

// Revokes reports whether the cutoff revoked the session.
func (c *Cutoff) Revokes(s *sessions.Ref) bool { return !s.CreatedAt.After(c.At) && c.Selects(s) }

// Newest returns the CreatedAt of the newest session that the cutoff selects, zero if there is
// none: a store whose clock may be set back sets At no earlier.
func (c *Cutoff) Newest(ctx context.Context, store sessions.Store) (time.Time, error) {
	query := c.Query(c.Realm)
	query.Limit, query.KeysOnly = 1, true
	page, err := store.List(ctx, query)
	if err != nil || len(page.Sessions) == 0 {
		return time.Time{}, err
	}
	return page.Sessions[0].CreatedAt, nil
}

// sameFilter reports whether both filters are equal.
func sameFilter(a, b *sessions.Filter) bool {
	return a.User == b.User && samePrincipal(a.Actor, b.Actor) && a.Impersonations == b.Impersonations
}

func samePrincipal(a, b *sessions.Principal) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// covers reports whether the wide filter selects every session that the narrow one does.
func covers(wide, narrow *sessions.Filter) bool {
	return (wide.User == "" || wide.User == narrow.User) &&
		(wide.Actor == nil || samePrincipal(wide.Actor, narrow.Actor)) &&
		(!wide.Impersonations || narrow.Impersonations || narrow.Actor != nil)
}

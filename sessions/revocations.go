package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Revocations is what a Manager needs of package revocation, whose Watcher implements it:
// what was revoked, in memory, and the bulk revocations (cutoffs) of a store.
type Revocations interface {
	// Remember makes the access tokens of a row stop working where it was revoked.
	Remember(row *Session)
	// Revoked reports whether the session of an access token was revoked. An error wraps
	// ErrUnavailable: that is unknown.
	Revoked(ctx context.Context, r Ref) (bool, error)
	// RevokedByCutoff reports whether a cutoff revoked the session. It does no I/O.
	RevokedByCutoff(r Ref) bool
	// RevokedUntil returns the latest time up to which everything that the filter selects
	// is revoked by a cutoff; zero where no cutoff covers the filter. It does no I/O.
	RevokedUntil(realm string, f *Filter) time.Time
	// KeepsCutoffs reports whether the store keeps cutoffs.
	KeepsCutoffs() bool
	// AddCutoff revokes what the filter selects, on behalf of by: the cutoff is durable, and
	// in force, when it returns. Revoking the rows is left to others.
	AddCutoff(ctx context.Context, realm string, f Filter, by Principal) error
}

// askStore is the Revocations of a Manager that has none: it remembers nothing.
type askStore struct{ Store }

// Remember does nothing.
func (askStore) Remember(*Session) {}

// Revoked reads the row.
func (a askStore) Revoked(ctx context.Context, r Ref) (bool, error) {
	row, err := a.Get(ctx, r.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading session: %w", err)
	default:
		return !row.RevokedAt.IsZero(), nil
	}
}

// RevokedByCutoff reports false: there are no cutoffs.
func (askStore) RevokedByCutoff(Ref) bool { return false }

// RevokedUntil returns zero: there are no cutoffs.
func (askStore) RevokedUntil(string, *Filter) time.Time { return time.Time{} }

// KeepsCutoffs reports false.
func (askStore) KeepsCutoffs() bool { return false }

// AddCutoff is never called.
func (askStore) AddCutoff(context.Context, string, Filter, Principal) error {
	return fmt.Errorf("%w: cutoffs need Manager.Revocations", ErrUnavailable)
}

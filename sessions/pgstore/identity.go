package pgstore

import (
	"context"
	"fmt"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// Identity is a text that no other store has. A schema that was made anew has another, and
// one whose table identity was emptied gets another.
func (s *Store) Identity(ctx context.Context) (string, error) {
	found, err := s.identity(ctx)
	if err != nil || found != "" {
		return found, err
	}
	// Of several nodes that make one at once the first does; the others read that.
	if err := s.aside(ctx, s.sql.makeIdentity, new(args).text(revocation.NewIdentity()), func(*reader) error { return nil }); err != nil {
		return "", err
	}
	if found, err = s.identity(ctx); err == nil && found == "" {
		err = fmt.Errorf("%w: its identity was removed as soon as it was made", sessions.ErrUnavailable)
	}
	return found, err
}

// identity reads it; "" where there is none yet.
func (s *Store) identity(ctx context.Context) (found string, err error) {
	err = s.aside(ctx, s.sql.identity, new(args), func(r *reader) error {
		found = r.text()
		return r.err
	})
	return found, err
}

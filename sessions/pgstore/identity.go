package pgstore

import (
	"context"
	"fmt"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// Identity returns a text that no other store has. It changes when the schema is created again or
// the table identity is emptied.
func (s *Store) Identity(ctx context.Context) (string, error) {
	found, err := s.identity(ctx)
	if err != nil || found != "" {
		return found, err
	}
	// If several nodes create one concurrently, the first succeeds and the others read it.
	if err := s.queryNow(ctx, s.text(sqlMakeIdentity), args(revocation.NewIdentity()), scanned, nil); err != nil {
		return "", err
	}
	if found, err = s.identity(ctx); err == nil && found == "" {
		err = fmt.Errorf("%w: its identity was removed as soon as it was made", sessions.ErrUnavailable)
	}
	return found, err
}

// identity reads it; "" if there is none yet.
func (s *Store) identity(ctx context.Context) (found string, err error) {
	err = s.queryNow(ctx, s.text(sqlIdentity), nil, scanned, (*text)(&found))
	return found, err
}

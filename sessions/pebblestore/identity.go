package pebblestore

import (
	"context"
	"errors"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// Identity is a text that no other store has. It is in checkpoints too.
func (s *Store) Identity(ctx context.Context) (string, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer s.leave()
	key := []byte{kindID}
	stripe := e.stripe(key)
	if err := e.lock(ctx, stripe); err != nil {
		return "", err
	}
	value, closer, err := e.read(key)
	if err == nil {
		found := string(value)
		e.unlock(stripe)
		return found, unavailable(closer.Close())
	}
	if !errors.Is(err, sessions.ErrNotFound) {
		e.unlock(stripe)
		return "", err
	}
	made, batch := revocation.NewIdentity(), e.db.NewBatch()
	if err := batch.Set(key, []byte(made), nil); err != nil {
		e.unlock(stripe)
		return "", unavailable(errors.Join(cause(err), batch.Close()))
	}
	return made, e.commit(ctx, batch, stripe)
}

// Interface guard
var _ revocation.Store = (*Store)(nil)

package redisstore

import (
	"context"

	"github.com/redis/rueidis"

	"authsidecar/sessions/revocation"
)

// Identity returns a text that no other store has. It changes if the store is emptied.
func (s *Store) Identity(ctx context.Context) (string, error) {
	results, err := s.askNow(ctx, s.client.B().Get().Key(s.keys.identity()).Build())
	if err != nil {
		return "", err
	}
	found, err := results[0].ToString()
	if err == nil || !rueidis.IsRedisNil(err) {
		return found, unavailable(err)
	}
	r, err := s.runNow(ctx, s.lua.layout, s.keys.identity(), revocation.NewIdentity())
	if err != nil {
		return "", err
	}
	return r.text(), r.err
}

// Interface guard
var _ revocation.Store = (*Store)(nil)

package redisstore

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// quietly is a call whose answer nobody needs.
func (s *Store) quietly(sc *script, key string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.runNow(ctx, sc, key, args...)
		return err
	}
}

// together makes calls at once.
func together(ctx context.Context, calls []func(context.Context) error) error {
	var all errgroup.Group
	for _, call := range calls {
		all.Go(func() error { return call(ctx) })
	}
	return all.Wait()
}

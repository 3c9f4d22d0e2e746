// Package storemodule is what the store modules for servers (redis, postgres) have in common.
package storemodule

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions"
)

// Resolve resolves the placeholders in the store's configuration.
func Resolve(name string, store any) error { return Wrap(name, placeholder.ResolveAll(store)) }

// Wrap adds the name of the store to the error.
func Wrap(name string, err error) error {
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// Key returns a hash of everything that a store is opened with.
func Key(name string, options ...any) string {
	var all []byte
	for _, option := range options {
		all = fmt.Appendf(all, "%q ", fmt.Sprint(option))
	}
	return fmt.Sprintf("%s %x", name, sha256.Sum256(all))
}

// Open opens a store, and adds its name to the error.
func Open[S sessions.Store, O any](ctx context.Context, name string, open func(context.Context, O) (S, error), options O) (sessions.Store, error) {
	store, err := open(ctx, options)
	if err != nil {
		return nil, Wrap(name, err)
	}
	return store, nil
}

// Log returns the logger of a store.
func Log(logger *zap.Logger) *slog.Logger {
	return slog.New(zapslog.NewHandler(logger.Named("store").Core()))
}

package caddymodule

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"authsidecar/sessions"
)

// A StoreOpener is a store module (namespace auth_sessions.stores). It says which
// database it means and how that is opened; sharing it, sweeping it and closing it
// is done for it. It need not import this package.
type StoreOpener interface {
	// StoreKey names the database and everything that matters of how it is opened:
	// what has the same key is opened once in this process. It does no I/O but
	// resolving names of files, and holds no secret as it is (hash it).
	StoreKey() (string, error)
	// OpenStore opens the database. It is called when the app starts, never when a
	// configuration is only validated. Where the store implements io.Closer it is
	// closed when nobody needs it any more.
	OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
}

// stores are the open stores of this process, by their keys: a reload, and several
// blocks, share them.
var stores = caddy.NewUsagePool()

// An openStore is a store in the pool, and its sweeper.
type openStore struct {
	store   sessions.Store
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// A store is swept each sweepPause, sweepBatch rows at a time.
const (
	sweepPause = 10 * time.Second
	sweepBatch = 500
)

// shareStore returns the open store of the module, or opens it. Whoever got it calls
// release once; the store closes with the last one.
func shareStore(ctx context.Context, module StoreOpener, logger *zap.Logger) (opened *openStore, release func() error, err error) {
	key, err := module.StoreKey()
	if err != nil {
		return nil, nil, err
	}
	value, _, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		store, err := module.OpenStore(ctx, logger)
		if err != nil {
			return nil, err
		}
		return startStore(store, logger), nil
	})
	if err != nil {
		return nil, nil, err
	}
	release = func() error {
		_, err := stores.Delete(key)
		return err
	}
	return value.(*openStore), release, nil
}

// startStore begins what a store needs done as long as it is open.
func startStore(store sessions.Store, logger *zap.Logger) *openStore {
	ctx, cancel := context.WithCancel(context.Background())
	o := &openStore{store: store, cancel: cancel}
	o.running.Go(func() { o.sweep(ctx, logger) })
	return o
}

// Destruct ends what runs and closes the store.
func (o *openStore) Destruct() error {
	o.cancel()
	o.running.Wait()
	if closer, ok := o.store.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// sweep deletes rows that are due, in small steps, until ctx ends.
func (o *openStore) sweep(ctx context.Context, logger *zap.Logger) {
	batch := func(ctx context.Context, limit int) (int, error) { return o.store.Sweep(ctx, limit, nil) }
	every(ctx, sweepPause, func() {
		drain(ctx, batch, func(err error) {
			logger.Error("expired sessions could not be swept; this is tried again", zap.Error(err))
		})
	})
}

// Interface guards
var _ caddy.Destructor = (*openStore)(nil)

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"authsidecar/sessions"
	"authsidecar/sessions/pebblestore"
)

// A StoreOpener is a store module (namespace auth_sessions.stores). OpenStore is
// called when the app starts, never when a configuration is only validated.
// Whoever opened it calls release once; the store closes with the last one.
type StoreOpener interface {
	OpenStore(logger *zap.Logger) (store sessions.Store, release func() error, err error)
}

// stores are the open stores of this process, by what they are: a reload, and
// several blocks, share them.
var stores = caddy.NewUsagePool()

// An openStore is a store in the pool, and its sweeper.
type openStore struct {
	sessions.Store
	cancel  context.CancelFunc
	sweeper sync.WaitGroup
	close   func() error
}

// A store is swept each sweepPause, sweepBatch rows at a time.
const (
	sweepPause = 10 * time.Second
	sweepBatch = 500
)

// shareStore returns the open store of that key, or opens it.
func shareStore(key string, logger *zap.Logger, open func() (sessions.Store, func() error, error)) (sessions.Store, func() error, error) {
	value, _, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		store, closeStore, err := open()
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		opened := &openStore{Store: store, cancel: cancel, close: closeStore}
		opened.sweeper.Go(func() { sweep(ctx, store, logger) })
		return opened, nil
	})
	if err != nil {
		return nil, nil, err
	}
	release := func() error {
		_, err := stores.Delete(key)
		return err
	}
	return value.(*openStore).Store, release, nil
}

// Destruct ends the sweeper and closes the store.
func (o *openStore) Destruct() error {
	o.cancel()
	o.sweeper.Wait()
	return o.close()
}

// sweep deletes rows that are due, in small steps, until ctx ends.
func sweep(ctx context.Context, store sessions.Store, logger *zap.Logger) {
	every(ctx, sweepPause, func() {
		drain(ctx, store.Sweep, func(err error) {
			logger.Error("expired sessions could not be swept; this is tried again", zap.Error(err))
		})
	})
}

// OpenStore opens the database, or shares the one that is open.
func (s *PebbleStore) OpenStore(logger *zap.Logger) (sessions.Store, func() error, error) {
	dir, err := canonical(s.directory())
	if err != nil {
		return nil, nil, fmt.Errorf("store pebble: %w", err)
	}
	return shareStore("pebble "+dir, logger, func() (sessions.Store, func() error, error) {
		log := logger.Named("store")
		store, err := pebblestore.Open(pebblestore.Options{Dir: dir, Log: slog.New(zapslog.NewHandler(log.Core()))})
		if err != nil {
			return nil, nil, fmt.Errorf("store pebble %s: %w", dir, err)
		}
		return store, store.Close, nil
	})
}

func (s *PebbleStore) directory() string {
	if s.Dir != "" {
		return s.Dir
	}
	return filepath.Join(caddy.AppDataDir(), "auth_sessions", "pebble")
}

// canonical returns the one absolute name of a directory that may not exist yet.
func canonical(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err == nil {
		return resolved, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	parent := filepath.Dir(absolute)
	if parent == absolute {
		return absolute, nil
	}
	parent, err = canonical(parent)
	return filepath.Join(parent, filepath.Base(absolute)), err
}

// Interface guards
var (
	_ StoreOpener      = (*PebbleStore)(nil)
	_ caddy.Destructor = (*openStore)(nil)
)

package caddymodule

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/streams"
)

// A StoreOpener is a store module (namespace auth_sessions.stores). It identifies a
// database and opens it; the handler shares, sweeps and closes the store. The module
// need not import this package.
type StoreOpener interface {
	// StoreKey identifies the database and the options it is opened with: stores with
	// the same key are opened once in this process. It does no I/O except to resolve
	// file names. It must not contain a secret: hash those.
	StoreKey() (string, error)
	// OpenStore opens the database. It is called when the app starts, never when a
	// configuration is only validated. After an error that wraps
	// sessions.ErrUnavailable, and not sessions.ErrSetup, it is called again; any other
	// error rejects the configuration. A store that implements io.Closer is closed when
	// it is no longer used.
	OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
}

// A StoreLocator is a StoreOpener that can describe where its database is: for people to read,
// without passwords, "" if it is unknown.
type StoreLocator interface {
	StoreLocation() string
}

// locationOf returns where the database of a store module is; "" if it is unknown.
func locationOf(opener StoreOpener) string {
	if locator, ok := opener.(StoreLocator); ok {
		return locator.StoreLocation()
	}
	return ""
}

// stores are the open stores of this process, by key: reloads and several blocks share them.
var stores = caddy.NewUsagePool()

// An openStore is a store in the pool, with its revocations, the open streams of its sessions, and
// its background work.
type openStore struct {
	store     sessions.Store
	watch     revocation.Watcher
	streams   streams.Registry
	live      observe.Live
	observers observers // by realm
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// A store is swept every sweepPause, sweepBatch rows at a time, and its identity is checked every
// identifyPause. The rows of this node's bulk revocations are revoked sweepRest later.
const (
	sweepPause = 10 * time.Second
	sweepRest  = 100 * time.Millisecond
	sweepBatch = 500

	identifyPause = time.Second
)

// shareStore returns the open store of the module, or opens it. Each caller calls release
// once; the last call closes the store.
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
		return startStore(ctx, observe.Meter(store, engineOf(module)), logger)
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

// startStore starts the background work of an open store.
func startStore(ctx context.Context, store sessions.Store, logger *zap.Logger) (*openStore, error) {
	o := &openStore{store: store}
	o.watch.Store = store
	o.streams.Store, o.streams.Watch = store, &o.watch
	o.watch.Lost = func(err error) {
		logger.Error("revocations of other nodes cannot be heard; the store is asked about each session until they can", zap.Error(err))
	}
	if err := o.watch.Start(ctx); err != nil {
		return nil, errors.Join(err, o.closeStore())
	}
	running, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	o.running.Go(func() { o.sweep(running, logger) })
	o.running.Go(func() { o.watch.Run(running) })
	o.running.Go(func() { o.identify(running, logger) })
	o.running.Go(func() { o.streams.Run(running) })
	o.running.Go(func() { o.live.Run(running, store) })
	return o, nil
}

// identify checks every identifyPause whether the store was emptied or replaced.
func (o *openStore) identify(ctx context.Context, logger *zap.Logger) {
	periodic.Run(ctx, identifyPause, func() {
		if changed, _ := o.watch.Identify(ctx); changed { // that the store is down is reported elsewhere
			logger.Error("the session store was emptied or replaced: access tokens that were minted before are refused")
		}
	})
}

// Destruct stops the background work and closes the store.
func (o *openStore) Destruct() error {
	o.cancel()
	o.running.Wait()
	return o.closeStore()
}

func (o *openStore) closeStore() error {
	if closer, ok := sessions.As[io.Closer](o.store); ok {
		return closer.Close()
	}
	return nil
}

// sweep deletes rows that are due, in small steps, until ctx ends.
func (o *openStore) sweep(ctx context.Context, logger *zap.Logger) {
	batch := func(ctx context.Context, limit int) (int, error) { return o.store.Sweep(ctx, limit, o.expired) }
	periodic.Run(ctx, sweepPause, func() {
		o.watch.Deny.Prune(o.store.Now())
		drain(ctx, batch, func(err error) {
			logger.Error("expired sessions could not be swept; this is tried again", zap.Error(err))
		})
	})
}

// expired reports to the observer of a session's realm, if there is one, that the session expired and
// was swept.
func (o *openStore) expired(s *sessions.Session) {
	if observer := o.observers.of(s.Realm); observer != nil {
		observer.Event(context.Background(), &sessions.Event{Kind: event.Expired, Session: s})
	}
}

// observers are the observers of the realms in a store. During a reload a realm has two: the newer
// one counts, and if the reload fails, the older one again.
type observers struct {
	mu      sync.Mutex
	byRealm map[string][]sessions.Observer
}

func (o *observers) add(realm string, observer sessions.Observer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byRealm == nil {
		o.byRealm = make(map[string][]sessions.Observer)
	}
	o.byRealm[realm] = append(o.byRealm[realm], observer)
}

func (o *observers) remove(realm string, observer sessions.Observer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.byRealm[realm] = slices.DeleteFunc(o.byRealm[realm], func(other sessions.Observer) bool { return other == observer })
}

// of returns the observer of a realm, or nil.
func (o *observers) of(realm string) sessions.Observer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if all := o.byRealm[realm]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// engineOf returns the name of a store module.
func engineOf(opener StoreOpener) string {
	if module, ok := opener.(caddy.Module); ok {
		return module.CaddyModule().ID.Name()
	}
	return "unknown"
}

// ping returns nil if the store responds.
func ping(ctx context.Context, store sessions.Store) error {
	if admin, ok := sessions.As[sessions.AdminStore](store); ok {
		return admin.Ping(ctx)
	}
	_, err := store.Get(ctx, sessions.Key{})
	if errors.Is(err, sessions.ErrNotFound) {
		return nil
	}
	return err
}

// Interface guards
var _ caddy.Destructor = (*openStore)(nil)

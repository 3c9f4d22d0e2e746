package observe

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"authsidecar/sessions"
)

// A meteredStore times the operations of a store, for the metrics and for the trace of the
// request. The optional interfaces of the store are found through Unwrap; those that requests
// wait for are timed below.
type meteredStore struct {
	store      sessions.Store
	operations map[string]operation
}

// An operation is the metrics of one.
type operation struct {
	seconds prometheus.Observer
	errors  prometheus.Counter
}

// Meter returns the store with its operations timed. It rotates if the store does.
func Meter(store sessions.Store, engine string) sessions.Store {
	m := &meteredStore{store: store, operations: make(map[string]operation)}
	add := func(names ...string) {
		for _, name := range names {
			m.operations[name] = operation{storeSeconds.WithLabelValues(engine, name), storeErrors.WithLabelValues(engine, name)}
		}
	}
	add("create", "get", "update", "list", "sweep")
	if rotating, ok := store.(sessions.Rotator); ok {
		add("rotate", "revoke")
		return struct {
			*meteredStore
			meteredRotating
		}{m, meteredRotating{m, rotating}}
	}
	return m
}

// observe ends timing an operation, which is deferred: err points to its error.
func (m *meteredStore) observe(ctx context.Context, name string, start time.Time, err *error) {
	took, op := time.Since(start), m.operations[name]
	op.seconds.Observe(took.Seconds())
	summaryOf(ctx).addStoreTime(took)
	if errors.Is(*err, sessions.ErrUnavailable) && !errors.Is(*err, context.Canceled) {
		op.errors.Inc()
	}
}

// Unwrap returns the store itself.
func (m *meteredStore) Unwrap() sessions.Store { return m.store }

// Now returns the store's time.
func (m *meteredStore) Now() time.Time { return m.store.Now() }

func (m *meteredStore) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	defer m.observe(ctx, "create", time.Now(), &err)
	return m.store.Create(ctx, row)
}

func (m *meteredStore) Get(ctx context.Context, key sessions.Key) (row sessions.Session, err error) {
	defer m.observe(ctx, "get", time.Now(), &err)
	return m.store.Get(ctx, key)
}

func (m *meteredStore) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (row sessions.Session, err error) {
	defer m.observe(ctx, "update", time.Now(), &err)
	return m.store.Update(ctx, key, fn)
}

func (m *meteredStore) List(ctx context.Context, query sessions.Query) (page sessions.Page, err error) {
	defer m.observe(ctx, "list", time.Now(), &err)
	return m.store.List(ctx, query)
}

func (m *meteredStore) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (deleted int, err error) {
	defer m.observe(ctx, "sweep", time.Now(), &err)
	return m.store.Sweep(ctx, limit, over)
}

type meteredRotating struct {
	m     *meteredStore
	store sessions.Rotator
}

func (r meteredRotating) Rotate(ctx context.Context, p *sessions.Presented, fresh *sessions.Fresh) (row sessions.Session, at time.Time, rotated bool, err error) {
	defer r.m.observe(ctx, "rotate", time.Now(), &err)
	return r.store.Rotate(ctx, p, fresh)
}

func (r meteredRotating) Revoke(ctx context.Context, key sessions.Key, reason sessions.EndReason) (row sessions.Session, ended bool, err error) {
	defer r.m.observe(ctx, "revoke", time.Now(), &err)
	return r.store.Revoke(ctx, key, reason)
}

// Interface guard
var _ sessions.Store = (*meteredStore)(nil)

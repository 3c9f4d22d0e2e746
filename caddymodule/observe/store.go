package observe

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"authsidecar/sessions"
)

// A metered store times the operations of a store, for the metrics and for the trace of the
// request. The optional interfaces of the store are found through Unwrap; those that requests
// wait for are timed below.
type metered struct {
	store  sessions.Store
	engine string
}

// Meter returns the store with its operations timed. It rotates if the store does.
func Meter(store sessions.Store, engine string) sessions.Store {
	m := &metered{store: store, engine: engine}
	for _, operation := range []string{"create", "get", "update", "list", "sweep"} {
		storeSeconds.WithLabelValues(engine, operation)
		storeErrors.WithLabelValues(engine, operation)
	}
	if rotating, ok := store.(sessions.Rotator); ok {
		return struct {
			*metered
			meteredRotating
		}{m, meteredRotating{m, rotating}}
	}
	return m
}

// timed starts timing an operation. The caller calls done with the operation's error.
func (m *metered) timed(ctx context.Context, operation string) (done func(error)) {
	start := time.Now()
	return func(err error) {
		took := time.Since(start)
		m.seconds(operation).Observe(took.Seconds())
		summaryOf(ctx).addStoreTime(took)
		if errors.Is(err, sessions.ErrUnavailable) && !errors.Is(err, context.Canceled) {
			storeErrors.WithLabelValues(m.engine, operation).Inc()
		}
	}
}

func (m *metered) seconds(operation string) prometheus.Observer {
	return storeSeconds.WithLabelValues(m.engine, operation)
}

// Unwrap returns the store itself.
func (m *metered) Unwrap() sessions.Store { return m.store }

// Now returns the store's time.
func (m *metered) Now() time.Time { return m.store.Now() }

func (m *metered) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	done := m.timed(ctx, "create")
	stored, created, count, err = m.store.Create(ctx, row)
	done(err)
	return stored, created, count, err
}

func (m *metered) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	done := m.timed(ctx, "get")
	row, err := m.store.Get(ctx, key)
	done(err)
	return row, err
}

func (m *metered) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	done := m.timed(ctx, "update")
	row, err := m.store.Update(ctx, key, fn)
	done(err)
	return row, err
}

func (m *metered) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	done := m.timed(ctx, "list")
	page, err := m.store.List(ctx, query)
	done(err)
	return page, err
}

func (m *metered) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
	done := m.timed(ctx, "sweep")
	deleted, err := m.store.Sweep(ctx, limit, over)
	done(err)
	return deleted, err
}

type meteredRotating struct {
	m     *metered
	store sessions.Rotator
}

func (r meteredRotating) Rotate(ctx context.Context, p *sessions.Presented, fresh *sessions.Fresh) (row sessions.Session, at time.Time, rotated bool, err error) {
	done := r.m.timed(ctx, "rotate")
	row, at, rotated, err = r.store.Rotate(ctx, p, fresh)
	done(err)
	return row, at, rotated, err
}

func (r meteredRotating) Revoke(ctx context.Context, key sessions.Key, reason sessions.EndReason) (row sessions.Session, ended bool, err error) {
	done := r.m.timed(ctx, "revoke")
	row, ended, err = r.store.Revoke(ctx, key, reason)
	done(err)
	return row, ended, err
}

// Interface guard
var _ sessions.Store = (*metered)(nil)

package storetest

import (
	"context"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// A managed store is what a sessions.Manager uses.
type managed interface {
	sessions.Store
	revocation.Store
}

// Far returns the store with an added latency of way in each direction. For a store on a network,
// use a slow network instead.
func Far(store sessions.Store, way time.Duration) sessions.Store {
	return far{managed: store.(managed), way: way}
}

type far struct {
	managed

	way time.Duration
}

// pass waits for the latency of one direction.
func (f far) pass() { <-time.NewTimer(f.way).C }

// travel waits for one direction, and back for the other.
func (f far) travel() (back func()) {
	f.pass()
	return f.pass
}

func (f far) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	defer f.travel()()
	return f.managed.Create(ctx, row)
}

func (f far) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	defer f.travel()()
	return f.managed.Get(ctx, key)
}

func (f far) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	defer f.travel()()
	return f.managed.Update(ctx, key, fn)
}

func (f far) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	defer f.travel()()
	return f.managed.List(ctx, query)
}

func (f far) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	defer f.travel()()
	return f.managed.AddCutoff(ctx, c)
}

func (f far) Cutoffs(ctx context.Context, realm string) ([]revocation.Cutoff, error) {
	defer f.travel()()
	return f.managed.Cutoffs(ctx, realm)
}

func (f far) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	defer f.travel()()
	return f.managed.RemoveCutoff(ctx, c)
}

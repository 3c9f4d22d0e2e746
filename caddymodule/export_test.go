package caddymodule

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/keyring"
)

// SetKeyTimes makes nodes look for new keys that often, and others remember our key
// set for that long.
func SetKeyTimes(sync, cache time.Duration) { keySync, keyCache = sync, cache }

// DenyMany lets the handler's node remember that many revoked sessions.
func DenyMany(h any, n int) {
	inst := h.(*Handler).inst
	for i := range n {
		inst.store.Load().watch.Deny.Add(sessions.Key{Realm: inst.issuer, ID: fmt.Sprintf("revoked%015d", i)}, time.Now())
	}
}

// Denied is how much the handler's node remembers that was revoked.
func Denied(h any) int { return h.(*Handler).inst.store.Load().watch.Deny.Len() }

// Passes reports whether a failure to open may be gone when it is tried again.
func Passes(err error) bool { return isTemporary(err) }

// Checks is how many signatures the handler's verifier has checked.
func Checks(h any) uint64 { return h.(*Handler).inst.verifier.Stats().Checks }

// ForgetKeys leaves the handler without keys to sign with.
func ForgetKeys(h any) { h.(*Handler).inst.manager.Minter.Keys = keyring.New() }

// CountStore counts the calls of the handler's manager that reach the store.
func CountStore(h any) *atomic.Int64 {
	m := h.(*Handler).inst.manager
	counted := &countedStore{Store: m.Store}
	m.Store = counted
	return &counted.calls
}

// A countedStore has no extras, which would go by it.
type countedStore struct {
	sessions.Store
	calls atomic.Int64
}

func (c *countedStore) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	c.calls.Add(1)
	return c.Store.Get(ctx, key)
}

func (c *countedStore) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	c.calls.Add(1)
	return c.Store.Update(ctx, key, fn)
}

func (c *countedStore) List(ctx context.Context, q sessions.Query) (sessions.Page, error) {
	c.calls.Add(1)
	return c.Store.List(ctx, q)
}

package caddymodule

import (
	"fmt"
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
func Passes(err error) bool { return passes(err) }

// Checks is how many signatures the handler's verifier has checked.
func Checks(h any) uint64 { return h.(*Handler).inst.verifier.Stats().Checks }

// ForgetKeys leaves the handler without keys to sign with.
func ForgetKeys(h any) { h.(*Handler).inst.manager.Minter.Keys = keyring.New() }

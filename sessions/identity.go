package sessions

import (
	"context"
	"crypto/rand"
	"encoding/base64"
)

// NewIdentity makes the identity of a store that has none (IdentifiedStore): 64 random bits
// in base64url.
func NewIdentity() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // it never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// Identify asks the store who it is, and reports whether it is another one than before: it
// was emptied, or something else is in its place. Then access tokens that were minted before
// are of no session in it.
func (w *Watcher) Identify(ctx context.Context) (changed bool, err error) {
	store, ok := As[IdentifiedStore](w.Store)
	if !ok {
		return false, nil
	}
	is, err := store.Identity(ctx)
	if err != nil {
		return false, err
	}
	was := w.identity.Load()
	if was != nil && *was == is {
		return false, nil
	}
	w.identity.Store(&is)
	return was != nil, nil
}

// Identity is what the store said last; "" where it has none.
func (w *Watcher) Identity() string {
	if is := w.identity.Load(); is != nil {
		return *is
	}
	return ""
}

// elsewhere reports whether an access token says that its session is in another store. One
// that says nothing is of an earlier release, or of a store without an identity.
func (w *Watcher) elsewhere(f *Facts) bool {
	return f.StoreID != "" && f.StoreID != w.Identity()
}

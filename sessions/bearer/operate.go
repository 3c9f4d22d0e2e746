package bearer

import (
	"context"
	"time"

	"authsidecar/sessions/jose"
)

// What whoever runs the server asks of the keys of an issuer.

// Refresh asks the issuer for its keys now, and waits for them, until ctx ends or
// for Timeout. A fetch that is under way is as good. The error wraps
// ErrKeysUnavailable; the last good keys go on.
func (r *Remote) Refresh(ctx context.Context) error {
	r.mu.Lock()
	r.asked = time.Time{} // no cooldown: nobody from outside asks
	r.mu.Unlock()
	return r.renew(ctx)
}

// Fetch asks the issuer for its keys once, without a Run, and returns them: nothing is remembered.
// The error wraps ErrDiscovery where it did not say where they are.
func (r *Remote) Fetch(ctx context.Context) ([]*jose.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	got, err := r.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return got.set.Keys(), nil
}

// Refresh reads the file now, as Load does.
func (f *File) Refresh(ctx context.Context) error { return f.Load(ctx) }

// Public returns the keys that are in use.
func (r *Remote) Public() []*jose.Key { return r.usable().keys() }

// Public returns the keys that are in use.
func (f *File) Public() []*jose.Key { return f.good.current.Load().keys() }

func (s *snapshot) keys() []*jose.Key {
	if s == nil {
		return nil
	}
	return s.set.Keys()
}

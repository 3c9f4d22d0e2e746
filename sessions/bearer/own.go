package bearer

import (
	"context"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// OwnKeys are the keys that we sign access tokens with, as an Issuer's keys.
type OwnKeys struct{ Ring *sessions.Ring }

// Key finds the key among those that sign, did, and will. Tokens of ours name
// their key; ErrKeysUnavailable if there is none at all.
func (o OwnKeys) Key(_ context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	keys := o.Ring.Public()
	if len(keys) == 0 {
		return nil, ErrKeysUnavailable
	}
	for _, key := range keys {
		if key.ID() != kid {
			continue
		}
		if key.Algorithm() != alg {
			return nil, jose.ErrAlgorithm
		}
		return key, nil
	}
	return nil, jose.ErrUnknownKey
}

// Version changes with the keys.
func (o OwnKeys) Version() uint64 { return o.Ring.Version() }

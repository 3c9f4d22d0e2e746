package keyring

import (
	"time"

	"authsidecar/sessions/jose"
)

// A State is what a signing key is used for.
type State string

// The states of a key, in the order of its life.
const (
	Next    State = "next"    // published, signs later
	Signing State = "signing" // signs and verifies
	Retired State = "retired" // verifies what it signed
)

// A Description describes a key of a ring to operators.
type Description struct {
	ID        string // the "kid"
	Algorithm jose.Algorithm
	State     State
	// From is when the key begins to sign, and Until when the next one does. A zero From means that
	// it has always signed; a zero Until that it has no successor yet.
	From, Until time.Time
	// Public is the public key.
	Public *jose.Key
}

// Describe returns the keys of the ring at now, oldest first.
func (r *Ring) Describe(now time.Time) []Description {
	keys := *r.keys.Load()
	signing := signingIndex(keys, now)
	described := make([]Description, len(keys))
	for i := range keys {
		k := &keys[i]
		d := Description{ID: k.ID(), Algorithm: k.Public().Algorithm(), State: Retired, From: k.From, Public: k.Public()}
		switch {
		case i == signing:
			d.State = Signing
		case i > signing:
			d.State = Next
		}
		if i+1 < len(keys) {
			d.Until = keys[i+1].From
		}
		described[i] = d
	}
	return described
}

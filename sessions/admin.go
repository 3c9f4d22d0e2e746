package sessions

import (
	"time"

	"authsidecar/sessions/jose"
)

// AdminSubject is who ended a session, in events, where whoever runs the server
// did. It has no issuer: so it is no caller's name.
const AdminSubject = "admin"

// Operator returns the rights of whoever runs the server: over every session of the
// realm. What it ends is ended by AdminSubject. A filter that names nothing selects
// nothing for it.
func (m *Manager) Operator() *Rights {
	return &Rights{
		caller: &Caller{Principal: Principal{Subject: AdminSubject}},
		manage: []Rule{{Name: AdminSubject, When: everySession{}}},
	}
}

// everySession holds for all of them.
type everySession struct{}

// Holds tells yes.
func (everySession) Holds(*RuleInput) bool { return true }

// Claims names none.
func (everySession) Claims() (names []string, all bool) { return nil, false }

// PerSession tells no: it is the same for each.
func (everySession) PerSession() bool { return false }

// KeyState tells what a signing key does.
type KeyState string

// The states of signing keys, in the order of their life.
const (
	KeyNext    KeyState = "next"    // shown already, signs later
	KeySigning KeyState = "signing" // signs and verifies
	KeyRetired KeyState = "retired" // verifies what it signed
)

// RingKey is a key of a ring, for people.
type RingKey struct {
	ID        string
	Algorithm jose.Algorithm
	State     KeyState
	// From is since when it signs, Until since when the next one does. Zero: always,
	// and nobody knows.
	From, Until time.Time
	// Public is its public half.
	Public *jose.Key
}

// Describe returns the keys of the ring at now, oldest first.
func (r *Ring) Describe(now time.Time) []RingKey {
	keys := *r.keys.Load()
	signing, _ := r.Signing(now) // an empty ring has none
	described := make([]RingKey, len(keys))
	state := KeyRetired
	for i := range keys {
		k := &keys[i]
		d := RingKey{ID: k.ID(), Algorithm: k.public.Algorithm(), From: k.From, Public: k.public}
		switch {
		case k == signing || signing != nil && k.ID() == signing.ID():
			d.State, state = KeySigning, KeyNext
		default:
			d.State = state
		}
		if i+1 < len(keys) {
			d.Until = keys[i+1].From
		}
		described[i] = d
	}
	return described
}

// Interface guards
var _ Condition = everySession{}

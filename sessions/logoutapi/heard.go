package logoutapi

import (
	"time"
)

// An Outcome is the result of an event.
type Outcome string

// The outcomes.
const (
	OutcomeRevoked  Outcome = "revoked"         // sessions were revoked
	OutcomeNothing  Outcome = "matched_nothing" // no session matches
	OutcomeRepeated Outcome = "repeated"        // received before; nothing more was revoked
	OutcomeLogged   Outcome = "logged"          // only logged, as configured
	OutcomeIgnored  Outcome = "ignored"         // acknowledged, but has no action here
	OutcomeRefused  Outcome = "refused"         // the token is not valid
	OutcomeFailed   Outcome = "failed"          // the store or the keys were unavailable
)

// Outcomes are all outcomes.
var Outcomes = []Outcome{OutcomeRevoked, OutcomeNothing, OutcomeRepeated, OutcomeLogged, OutcomeIgnored, OutcomeRefused, OutcomeFailed}

// Result describes the result of one event of a token. It contains nothing of a token that was
// refused.
type Result struct {
	// Kind is the name of the event (Kinds).
	Kind string
	// Issuer is the configured issuer; "" if the token was refused before it was known.
	Issuer string
	// Trust is the issuer's name in rules.
	Trust string
	// JTI and At are the token's "jti" and "iat".
	JTI string
	At  time.Time
	// Named describes what identified the subject, such as "sub and sid".
	Named   string
	Outcome Outcome
	Ended   int // number of revoked sessions
	// Err is why a token was refused or failed, and Mend what to do about it, if that is known.
	Err  error
	Mend string
}

package logoutapi

import (
	"time"
)

// An Outcome is what came of an event, in one of a few words.
type Outcome string

// The outcomes.
const (
	OutcomeRevoked  Outcome = "revoked"         // sessions ended
	OutcomeNothing  Outcome = "matched_nothing" // no session is of what it names
	OutcomeRepeated Outcome = "repeated"        // it was here before, and ended nothing more
	OutcomeLogged   Outcome = "logged"          // as it is configured to be
	OutcomeIgnored  Outcome = "ignored"         // acknowledged: an event that does nothing here
	OutcomeRefused  Outcome = "refused"         // the token is not good
	OutcomeFailed   Outcome = "failed"          // the store, or the keys, could not be had
)

// Outcomes are all of them.
var Outcomes = []Outcome{OutcomeRevoked, OutcomeNothing, OutcomeRepeated, OutcomeLogged, OutcomeIgnored, OutcomeRefused, OutcomeFailed}

// Heard is what came of one event of a token. It holds nothing of a token that is refused.
type Heard struct {
	// Kind is the event, by its name (Kinds).
	Kind string
	// Issuer is the configured issuer; "" where the token was refused before it was known.
	Issuer string
	// Trust is what rules call it.
	Trust string
	// JTI and At are the token's "jti" and "iat".
	JTI string
	At  time.Time
	// Named says what the token named: "sub and sid".
	Named   string
	Outcome Outcome
	Ended   int // how many sessions
	// Err is why a token was refused, or failed, and Mend what to do about it, if that is known.
	Err  error
	Mend string
}

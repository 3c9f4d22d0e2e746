// Package event names what can happen to a session, as logs, metrics, the audit and Caddy's
// events call it. A sessions.Event says to which session, and why.
package event

// A Kind is what happened.
type Kind string

// The kinds of events.
const (
	Created  Kind = "created"
	Repeated Kind = "repeated" // answered again to the same idempotency key
	Opened   Kind = "opened"   // it was pending, and its link was opened
	Denied   Kind = "denied"
	// Shadowed is what the shadow policy would have decided.
	Shadowed    Kind = "tried"
	Refreshed   Kind = "refreshed"
	Retried     Kind = "retried"      // the same successor again, within the grace period
	Reuse       Kind = "reuse"        // a used refresh token came back: the session was revoked
	StoreBehind Kind = "store_behind" // a token was ahead of the store: the session was revoked
	Revoked     Kind = "revoked"
	Expired     Kind = "expired" // reached its end, and was swept
	Failed      Kind = "failed"  // the store or the keys failed
)

// Package event lists the events of sessions, as named in logs, metrics, the audit and Caddy's
// events. A sessions.Event adds the session and the reason.
package event

// A Kind is a kind of event.
type Kind string

// The kinds of events.
const (
	Created  Kind = "created"
	Repeated Kind = "repeated" // returned again for the same idempotency key
	Opened   Kind = "opened"   // a pending session was opened by its link
	Denied   Kind = "denied"
	// Shadowed is the decision of the shadow policy.
	Shadowed    Kind = "tried"
	Refreshed   Kind = "refreshed"
	Retried     Kind = "retried"      // the same successor again, within the grace period
	Reuse       Kind = "reuse"        // a used refresh token was presented again: the session was revoked
	StoreBehind Kind = "store_behind" // a token was ahead of the store: the session was revoked
	Revoked     Kind = "revoked"
	Expired     Kind = "expired" // expired and was swept
	Failed      Kind = "failed"  // the store or the keys failed
)

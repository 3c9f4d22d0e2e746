package sessions

import (
	"context"

	"authsidecar/sessions/event"
)

// An Observer is called by a Manager, by the verifier of callers' tokens, and by the endpoints for
// everything that happens. Its methods return soon, retain none of their arguments, and are safe
// for concurrent use.
type Observer interface {
	// Before is called before a session is stored (event.Created), and before a refresh token is
	// exchanged (event.Refreshed), with what is known of the session. If it returns an error,
	// nothing happens and the error is returned unchanged; it should wrap ErrDenied or
	// ErrUnavailable.
	Before(ctx context.Context, kind event.Kind, s *Session) error
	// Event is called after something happened to a session.
	Event(ctx context.Context, e *Event)
	// Expired is called for a session of any realm that expired and was swept to make space for new
	// ones.
	Expired(s *Session)
	// Verified is called for each bearer token, with its issuer, or "" if it was refused.
	// remembered means that the result came from the cache.
	Verified(ctx context.Context, issuer string, remembered bool)
	// Failed is called for each request that was refused or failed, with the status of the response
	// and the context of the request.
	Failed(ctx context.Context, status int, err error)
	// Limited is called when too many attempts from one address have failed, by the request that
	// failed last. client is the OAuth client it named, or "" if that is unknown. It is called
	// again only after the failures have been forgotten.
	Limited(ctx context.Context, client string)
}

// An Event is something that happened to a session. It contains no token.
type Event struct {
	Kind event.Kind
	// Session is the row, or as much as is known of the requested one.
	Session *Session
	// IP is the address of the request, if there was one, and By the party that sent it, if that is
	// not the actor of the session.
	IP string
	By Principal
	// JTI is the "jti" of the issuer's token that requested it, if there was one.
	JTI string
	// Err is why something was denied or failed.
	Err error
}

// Silent is an Observer that allows everything and does nothing. It is the default, and can be
// embedded by observers that need only some of the methods.
type Silent struct{}

// Before allows everything.
func (Silent) Before(context.Context, event.Kind, *Session) error { return nil }

// Event does nothing.
func (Silent) Event(context.Context, *Event) {}

// Expired does nothing.
func (Silent) Expired(*Session) {}

// Verified does nothing.
func (Silent) Verified(context.Context, string, bool) {}

// Failed does nothing.
func (Silent) Failed(context.Context, int, error) {}

// Limited does nothing.
func (Silent) Limited(context.Context, string) {}

// Interface guard
var _ Observer = Silent{}

package sessions

import (
	"context"

	"authsidecar/sessions/event"
)

// An Observer hears what happens: from a Manager, from the verifier of callers' tokens, and
// from the endpoints. It is their one way back to who configured them. It returns soon, keeps
// nothing that it is given, and is safe for concurrent use.
type Observer interface {
	// Before is asked before a session is stored (event.Created), and before a refresh token
	// is exchanged (event.Refreshed), with what is known of the session then. An error is
	// returned as it is, and nothing happens: one that wraps ErrDenied or ErrUnavailable
	// says why.
	Before(ctx context.Context, kind event.Kind, s *Session) error
	// Event hears of everything that happened to a session, after it did.
	Event(ctx context.Context, e *Event)
	// Expired hears of sessions of any realm that came to their end and were swept to make
	// space for new ones.
	Expired(s *Session)
	// Verified hears of each bearer token: of which issuer it is, "" where it is refused, and
	// whether that was remembered from an earlier request.
	Verified(ctx context.Context, issuer string, remembered bool)
	// Failed hears of each request that was refused or failed, with the status of the
	// answer. ctx is that of the request.
	Failed(ctx context.Context, status int, err error)
	// Limited hears of each address of which too many attempts failed, by the request that
	// failed last: as an OAuth client, "" if it named none that is known. It hears of it again
	// once the failures were forgotten.
	Limited(ctx context.Context, client string)
}

// An Event is something that happened to a session. It holds no token.
type Event struct {
	Kind event.Kind
	// Session is the row, or the part of one that was asked for.
	Session *Session
	// IP is the address that the request came from, where a request did it, and By
	// who asked for it, where that is not the actor of the session.
	IP string
	By Principal
	// JTI is the "jti" of the issuer's token that asked for it, where one did.
	JTI string
	// Err says why something was denied or failed.
	Err error
}

// Silent is an Observer that lets everything pass and does nothing: the default, and a start
// for those who need one method.
type Silent struct{}

// Before lets everything pass.
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

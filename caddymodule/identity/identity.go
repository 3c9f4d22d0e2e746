package identity

import (
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// An identity is the result of authenticating a request. Requests with the same token may share it,
// so it must not be modified.
type identity struct {
	*forward.Who             // nil if anonymous
	by           *Middleware // the middleware that authenticated it
	disowned     bool        // the request has been made anonymous
	shared       bool
	own          bool       // of one of our sessions
	headers      []string   // in the order of Middleware.fields
	created      int64      // creation of that session, in milliseconds since 1970
	expires      int64      // expiry of the token, in milliseconds since 1970
	store        string     // identity of the session's store
	assertion    *assertion // nil if none is configured
}

// An assertion is the assertion that is sent for an identity while it is recent.
type assertion struct {
	mu     sync.Mutex
	token  string
	minted time.Time
}

// newAssertion returns an assertion that has not been minted, if assertions are configured.
func (m *Middleware) newAssertion() *assertion {
	if m.Assertion == nil {
		return nil
	}
	return new(assertion)
}

// identify returns the identity of a token's holder.
func (m *Middleware) identify(h *bearer.Holder) *identity {
	if made, ok := h.Made.Load().(*identity); ok && made.by == m {
		return made
	}
	if a := m.unpack(h.Packed()); a != nil {
		return a
	}
	c := h.Caller()
	a := &identity{
		Who: forward.Of(c), by: m, shared: true, headers: make([]string, len(m.fields)), assertion: m.newAssertion(),
		own: c.Own, created: c.SessionCreated.UnixMilli(), store: c.StoreID, expires: c.ExpiresAt.UnixMilli(),
	}
	for i, field := range m.fields {
		a.headers[i] = field.Value(a.Who, c.Claims)
	}
	h.Made.CompareAndSwap(nil, a) // unless another request with the token was first
	if packed := a.pack(); packed != nil {
		h.Pack(packed)
	}
	return a
}

// find returns the value of a placeholder of ours.
func (id *identity) find(key string) (any, bool) {
	name, ours := ownPlaceholder(key)
	if !ours || !id.isKnown() || id.disowned {
		return "", ours
	}
	switch name {
	case "id":
		name = "user_id"
	case "user_id":
		return nil, false
	}
	return id.Value(forward.Field(name))
}

// caller returns the caller of our session, without the claims of their token.
func (id *identity) caller() sessions.Caller {
	return sessions.Caller{
		Principal: sessions.Principal{Issuer: id.by.Issuer, Subject: id.UserID}, ClientID: id.ClientID, Own: id.own,
		SessionID: id.SessionID, Acting: id.Impersonation, Actor: id.Actor, SessionCreated: moment(id.created), StoreID: id.store, ExpiresAt: moment(id.expires),
	}
}

// moment returns the time of milliseconds since 1970.
func moment(at int64) time.Time { return time.UnixMilli(at).UTC() }

// identityVar is the variable with the identity of a request.
const identityVar = "auth_sessions.identity"

// decided returns the identity of a request; ok is false if no Middleware has authenticated it.
func decided(r *http.Request) (who *identity, ok bool) {
	who, ok = caddyhttp.GetVar(r.Context(), identityVar).(*identity)
	return who, ok
}

// Impersonated reports whether a request belongs to an impersonated session; isDecided is false if
// no Middleware has authenticated it.
func Impersonated(r *http.Request) (impersonated, isDecided bool) {
	who, isDecided := decided(r)
	return who.isImpersonated(), isDecided
}

// isKnown reports whether the identity is not anonymous. A nil identity is.
func (id *identity) isKnown() bool { return id != nil && id.Who != nil }

// isImpersonated reports whether the session is impersonated.
func (id *identity) isImpersonated() bool { return id.isKnown() && id.Impersonation }

// isOwn reports whether the token belongs to one of our sessions.
func (id *identity) isOwn() bool { return id.isKnown() && id.own }

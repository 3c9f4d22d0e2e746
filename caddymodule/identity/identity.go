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

// An identity is who is asking, as it was decided for a request. Those of one token may share
// it: it is never changed.
type identity struct {
	*forward.Who             // nil: nobody that we know
	by           *Middleware // that decided it
	disowned     bool        // the request is nobody's any more
	shared       bool
	own          bool       // of a session of ours
	headers      []string   // as Middleware.fields
	created      int64      // that session: milliseconds since 1970, as expires
	expires      int64      // the token
	store        string     // identity of the store that the session is in
	assertion    *assertion // nil where none is configured
}

// An assertion is the one that an identity is sent with, as long as it is new.
type assertion struct {
	mu     sync.Mutex
	token  string
	minted time.Time
}

// newAssertion returns one that is not minted yet, if assertions are configured.
func (m *Middleware) newAssertion() *assertion {
	if m.Assertion == nil {
		return nil
	}
	return new(assertion)
}

// identify returns what the app learns of who holds a token.
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
	h.Made.CompareAndSwap(nil, a) // if another request with the token was not first
	if packed := a.pack(); packed != nil {
		h.Pack(packed)
	}
	return a
}

// find returns the value of a placeholder of ours.
func (id *identity) find(key string) (any, bool) {
	name, ours := ownPlaceholder(key)
	if !ours || !id.known() || id.disowned {
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

// caller is who has the session, which is one of ours: without the claims of their token.
func (id *identity) caller() *sessions.Caller {
	return &sessions.Caller{
		Principal: sessions.Principal{Issuer: id.by.Issuer, Subject: id.UserID}, ClientID: id.ClientID, Own: id.own,
		SessionID: id.SessionID, Acting: id.Impersonation, Actor: id.Actor, SessionCreated: moment(id.created), StoreID: id.store, ExpiresAt: moment(id.expires),
	}
}

// moment is a time in milliseconds since 1970.
func moment(at int64) time.Time { return time.UnixMilli(at).UTC() }

// identityVar is the variable that the identity of a request is in.
const identityVar = "auth_sessions.identity"

// decided returns who is asking; ok is false where no Middleware decided.
func decided(r *http.Request) (who *identity, ok bool) {
	who, ok = caddyhttp.GetVar(r.Context(), identityVar).(*identity)
	return who, ok
}

// Impersonated reports whether a request is one of an impersonated session; decided is false
// where no Middleware decided whose it is.
func Impersonated(r *http.Request) (impersonated, isDecided bool) {
	who, isDecided := decided(r)
	return who.impersonated(), isDecided
}

// known reports whether it is somebody; nil is nobody.
func (id *identity) known() bool { return id != nil && id.Who != nil }

// impersonated reports whether somebody acts as somebody else.
func (id *identity) impersonated() bool { return id.known() && id.Impersonation }

// ours reports whether it is a session of ours.
func (id *identity) ours() bool { return id.known() && id.own }

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
	headers      []string // as Middleware.fields

	own     bool      // of a session of ours
	created time.Time // that session
	store   string    // identity of the store that it is in
	expires time.Time // the token

	mu        sync.Mutex
	assertion string
	minted    time.Time
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
		Who: forward.Of(c), by: m, shared: true, headers: make([]string, len(m.fields)),
		own: c.Own, created: c.SessionCreated, store: c.StoreID, expires: c.ExpiresAt,
	}
	for i, field := range m.fields {
		a.headers[i] = field.Value(a.Who, c.Claims)
	}
	h.Made.CompareAndSwap(nil, a) // if another request with the token was not first
	h.Pack(a.pack())
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
		SessionID: id.SessionID, Acting: id.Impersonation, Actor: id.Actor, SessionCreated: id.created, StoreID: id.store, ExpiresAt: id.expires,
	}
}

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

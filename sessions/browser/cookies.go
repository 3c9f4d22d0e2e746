package browser

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/httpapi"
)

// Cookies lets people use the endpoints of an httpapi.API with cookies, to see and revoke their own
// sessions.
type Cookies struct{ *Authenticator }

// Caller implements httpapi.Cookies.
func (c Cookies) Caller(w http.ResponseWriter, r *http.Request) (*sessions.Caller, error) {
	brought := c.Credential(r)
	if !brought.Present() {
		return nil, bearer.ErrNoToken
	}
	if c.CrossSite(r) {
		return nil, httpapi.ErrCrossOrigin
	}
	decision, err := c.Authenticate(r, &brought)
	var over *OverError
	switch {
	case errors.As(err, &over):
		c.Clear(w.Header(), over.Pair)
		return nil, sessions.ErrRevoked
	case errors.Is(err, ErrSeveral):
		return nil, bearer.ErrMalformed
	case err != nil:
		return nil, err
	}
	c.Settle(r.Context(), w.Header(), decision)
	return decision.Holder.Caller(), nil
}

// SignedOut implements httpapi.Cookies.
func (c Cookies) SignedOut(w http.ResponseWriter, r *http.Request) {
	if brought := c.Credential(r); brought.Present() {
		c.Clear(w.Header(), brought.Pair)
	}
}

// Interface guard
var _ httpapi.Cookies = Cookies{}

package httpapi

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// Cookies authenticate people by cookies in their browser. People can see and revoke their own
// sessions in this way, but not create any, since a page can make a browser send a request without
// its user.
type Cookies interface {
	// Caller returns the caller whose session the cookies belong to, and sets the cookies of the
	// response. Its errors are those of a bearer token, or problems; bearer.ErrNoToken means that
	// there are no cookies.
	Caller(w http.ResponseWriter, r *http.Request) (*sessions.Caller, error)
	// SignedOut is called before the response to a request that revoked its own session.
	SignedOut(w http.ResponseWriter, r *http.Request)
}

// authenticateSelf is authenticate for endpoints that also accept cookies.
func (a *API) authenticateSelf(w http.ResponseWriter, r *http.Request) (*sessions.Caller, error) {
	caller, err := a.authenticate(r)
	if a.Cookies == nil || !errors.Is(err, bearer.ErrNoToken) {
		return caller, err
	}
	return a.Cookies.Caller(w, r)
}

package httpapi

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// Cookies are the sessions that browsers have in cookies. By them people see and end their own
// sessions, and nobody creates one: a page that makes a browser send a request is not its user.
type Cookies interface {
	// Caller returns whose session the cookies of a request are of, and sets on the answer what
	// cookies it is to have. Its errors are those of a bearer token, or problems;
	// bearer.ErrNoToken: there are no cookies.
	Caller(w http.ResponseWriter, r *http.Request) (*sessions.Caller, error)
	// SignedOut is called before the answer to a request that ended the session it came with.
	SignedOut(w http.ResponseWriter, r *http.Request)
}

// authenticateSelf is authenticate where cookies count too.
func (a *API) authenticateSelf(w http.ResponseWriter, r *http.Request) (*sessions.Caller, error) {
	caller, err := a.authenticate(r)
	if a.cookies == nil || !errors.Is(err, bearer.ErrNoToken) {
		return caller, err
	}
	return a.cookies.Caller(w, r)
}

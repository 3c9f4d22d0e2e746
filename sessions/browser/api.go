package browser

import (
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/urlpath"
)

// Config is what an API is made of.
type Config struct {
	// Path is below which the endpoints are: absolute, clean, no trailing slash.
	Path string
	// Authenticator has the cookies and the sessions.
	*Authenticator
	// Observer hears of every request that was refused or failed. Nil is sessions.Silent.
	Observer sessions.Observer
	// Links are how sessions are handed over.
	Links *Links
	// SignIn is where people sign in. Nil: nowhere.
	SignIn *signin.Client
	// Banner is whether the bar is served that shows who acts as whom.
	Banner bool
	// Console is set for the host of the console: people sign in and out there, and open no links.
	Console bool
}

// An API answers the requests of browsers that Route says are ours.
type API struct {
	Config
	endpoint.Table
	bodies endpoint.Bodies
}

// New returns an API.
func New(c Config) *API {
	if c.Observer == nil {
		c.Observer = sessions.Silent{}
	}
	a := &API{Config: c}
	a.Table = endpoint.Table{Fail: a.fail, NoPath: httpapi.ErrPath, NoMethod: httpapi.ErrMethod}
	a.addEndpoints()
	return a
}

func (a *API) requestID(r *http.Request) string {
	if a.RequestID == nil {
		return ""
	}
	return a.RequestID(r)
}

// fail answers an error: as a page to a person.
func (a *API) fail(w http.ResponseWriter, r *http.Request, _ urlpath.Match, err error) {
	p := httpapi.ProblemOf(err)
	a.Observer.Failed(r.Context(), p.Status, err)
	p = p.Of(a.requestID(r))
	defer endpoint.LeaveBody(w, r)()
	if forward.Person(r) {
		p.WritePage(w)
	} else {
		p.Write(w)
	}
}

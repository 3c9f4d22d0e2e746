package browser

import (
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/urlpath"
)

// Config is the configuration of an API.
type Config struct {
	// Path is the path below which the endpoints are: absolute, clean, without a trailing slash.
	Path string
	// Authenticator reads the cookies and knows the sessions.
	*Authenticator
	// Observer is called for every request that was refused or failed. Nil means sessions.Silent.
	Observer sessions.Observer
	// Links configures how sessions are handed over.
	Links *Links
	// SignIn is the client for signing in. Nil means that nobody can sign in here.
	SignIn *signin.Client
	// Banner enables the script of the bar that shows who is acting as whom.
	Banner bool
	// Console is set for the host of the console: people sign in and out there, but open no links.
	Console bool
}

// An API serves the browser endpoints that Route matches.
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

// fail writes an error, as a page if a person navigates.
func (a *API) fail(w http.ResponseWriter, r *http.Request, _ urlpath.Match, err error) {
	p := httpapi.ProblemOf(err)
	a.Observer.Failed(r.Context(), p.Status, err)
	defer endpoint.LeaveBody(w, r)()
	p.WithInstance(a.requestID(r)).Answer(w, r)
}

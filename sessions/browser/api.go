package browser

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

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
	// More are endpoints beside those of this package.
	More []Endpoint
}

// An API answers the requests of browsers that Route says are ours.
type API struct {
	Config
	paths  []urlpath.Own
	served []Endpoint // at paths
	bodies endpoint.Bodies
}

// New returns an API.
func New(c Config) *API {
	if c.Observer == nil {
		c.Observer = sessions.Silent{}
	}
	a := &API{Config: c}
	a.served = append(a.endpoints(), c.More...)
	for i := range a.served {
		a.paths = append(a.paths, urlpath.NewOwn(c.Path+a.served[i].Rest, false))
	}
	return a
}

// Route reports whose request it is: ours on the paths of the endpoints, by any method. It does
// not allocate for canonical paths of ASCII.
func (a *API) Route(r *http.Request) urlpath.Match { return urlpath.First(a.paths, r.URL) }

// Serve answers a request of which Route said that it is not the app's. A panic is answered
// 500, and reported as a failure with its stack.
func (a *API) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	if err := endpoint.Safely(func() error { return a.serve(w, r, m) }); err != nil {
		a.fail(w, r, err)
	}
}

// NeedsStore reports whether nothing can be answered without the store.
func (a *API) NeedsStore(m urlpath.Match) bool { return a.served[m.At].NeedsStore }

// Unavailable answers a request that is ours while what it needs is not open.
func (a *API) Unavailable(w http.ResponseWriter, r *http.Request, m urlpath.Match, cause error) {
	cause = fmt.Errorf("%w: not ready: %w", sessions.ErrUnavailable, cause)
	found := &a.served[m.At]
	if found.Down != nil && m.Owner == urlpath.Ours && slices.Contains(found.Methods, r.Method) {
		cause = found.Down(w, r, cause)
	}
	a.fail(w, r, cause)
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) error {
	if m.Owner != urlpath.Ours {
		return httpapi.ErrPath
	}
	found := &a.served[m.At]
	if slices.Contains(found.Methods, r.Method) {
		return found.Serve(w, r)
	}
	w.Header().Set("Allow", strings.Join(found.Methods, ", "))
	return httpapi.ErrMethod
}

func (a *API) requestID(r *http.Request) string {
	if a.RequestID == nil {
		return ""
	}
	return a.RequestID(r)
}

// fail answers an error: as a page to a person.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
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

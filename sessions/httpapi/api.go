package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/urlpath"
)

// Config is the configuration of an API.
type Config struct {
	// Path is where sessions are created: absolute, clean, without a trailing slash.
	Path string
	// Verifier authenticates callers.
	Verifier *bearer.Verifier
	// Manager creates and manages the sessions.
	Manager *sessions.Manager
	// Lifecycle also serves refresh, listing and revocation, and Keys.
	Lifecycle bool
	// KeySet serves Keys without Lifecycle, for apps that verify what they are sent.
	KeySet bool
	// Keys returns the public keys of access tokens, and KeysMaxAge is how long they may be cached.
	Keys       func() []*jose.Key
	KeysMaxAge time.Duration
	// OpenAPI is a JSON description of the endpoints to serve. Nil means that none is served.
	OpenAPI []byte
	// ActorIssuer is the issuer of actors that a request names without one; "" means the caller's
	// own.
	ActorIssuer string
	// CrossSite reports whether a page of another origin may have made a browser send an unsafe
	// request. It is called if the token is in a header that is sent regardless of what the user
	// intends. Nil means that every such request may be cross-site.
	CrossSite func(*http.Request) bool
	// ClientIP returns the client's address of a request.
	ClientIP func(*http.Request) string
	// RequestID returns the UUID of the request in the logs, or "". By default, no problem document
	// contains one.
	RequestID func(*http.Request) string
	// Observer is called for every request that was refused or failed. Nil means sessions.Silent.
	Observer sessions.Observer
	// Deliver delivers tokens in other ways than the body of the response. Nil means that there are
	// none.
	Deliver Deliverer
	// Cookies authenticate requests without a token. Nil means that cookies do not count.
	Cookies Cookies
	// SignIn is the path where people sign in; "" means that there is none.
	SignIn string
}

// An API serves the requests that Route matches.
type API struct {
	Config
	own       urlpath.Own
	documents []document
	bodies    endpoint.Bodies
}

// New returns an API.
func New(c Config) *API {
	if c.Observer == nil {
		c.Observer = sessions.Silent{}
	}
	if c.RequestID == nil {
		c.RequestID = func(*http.Request) string { return "" }
	}
	return &API{Config: c, own: urlpath.NewOwn(c.Path, c.Lifecycle), documents: documentsOf(&c)}
}

// Serve answers a request that Route matched. A panic becomes a 500, and is reported as a failure
// with its stack.
func (a *API) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	if err := endpoint.Recover(func() error { return a.serve(w, r, m) }); err != nil {
		a.fail(w, r, err)
	}
}

// fail writes an error: as a page for a person. A token in Authorization comes from a program, whatever
// it accepts.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	a.Observer.Failed(r.Context(), p.Status, err)
	defer LeaveBody(w, r)()
	p = p.WithInstance(a.RequestID(r))
	if _, err := bearer.FromHeader(r.Header); !errors.Is(err, bearer.ErrNoToken) {
		p.Write(w)
		return
	}
	if !errors.Is(err, bearer.ErrNoToken) || !forward.WantsPage(r) {
		p.Answer(w, r)
		return
	}
	next := Link{Text: "Go to the start page", URL: "/"}
	if a.SignIn != "" {
		next = Link{Text: "Sign in", URL: a.SignIn}
	}
	toPerson := *p
	toPerson.Detail = pageNoToken
	toPerson.WritePage(w, next)
}

// pageNoToken is what a person without a token reads.
const pageNoToken = "You are not signed in, or this address is for programs: they send a JWT of a trusted issuer as bearer token in the Authorization header."

// NeedsStore reports whether answering a request requires the store. The documents require at most
// the keys.
func (a *API) NeedsStore(m urlpath.Match) bool {
	return m.Owner != urlpath.Ours || !slices.ContainsFunc(a.documents, func(d document) bool { return d.rest == m.Rest })
}

// Unavailable answers a request while a part that it needs is not open.
func (a *API) Unavailable(w http.ResponseWriter, r *http.Request, _ urlpath.Match, cause error) {
	a.fail(w, r, fmt.Errorf("%w: not ready: %w", sessions.ErrUnavailable, cause))
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) error {
	if m.Owner != urlpath.Ours {
		return ErrPath
	}
	routes := a.routes(m.Rest)
	if routes == nil {
		return ErrPath
	}
	methods := make([]string, len(routes))
	for i, route := range routes {
		if route.method == r.Method {
			if !route.readsBody {
				defer LeaveBody(w, r)()
			}
			return route.serve(a, w, r)
		}
		methods[i] = route.method
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return ErrMethod
}

// A route is an endpoint for one method.
type route struct {
	method    string
	readsBody bool // reads the body itself
	serve     func(*API, http.ResponseWriter, *http.Request) error
}

// The endpoints at our path and below it.
var (
	bareRoutes    = []route{{"POST", true, (*API).create}}
	pathRoutes    = []route{{"POST", true, (*API).create}, {"GET", false, (*API).list}, {"DELETE", false, (*API).revokeAll}}
	currentRoutes = []route{{"GET", true, (*API).current}, {"DELETE", true, (*API).signOut}}
	refreshRoutes = []route{{"POST", true, (*API).refresh}}
	idRoutes      = []route{{"GET", false, (*API).get}, {"DELETE", false, (*API).revoke}}
)

// routes returns the endpoints at our path (rest is "") or below it; nil if there are none.
func (a *API) routes(rest string) []route {
	for i := range a.documents {
		if rest == a.documents[i].rest {
			return a.documents[i].routes
		}
	}
	switch {
	case !a.Lifecycle:
		return bareRoutes
	case rest == "":
		return pathRoutes
	case rest == "/current":
		return currentRoutes
	case rest == "/current/refresh":
		return refreshRoutes
	case isSessionID(rest[1:]):
		return idRoutes
	default:
		return nil
	}
}

// authenticate returns the caller. A token in the query is refused even if there is one in the
// header too: it has been logged somewhere by now (RFC 6750 section 5.3).
func (a *API) authenticate(r *http.Request) (*sessions.Caller, error) {
	if strings.Contains(r.URL.RawQuery, "access_token") || strings.Contains(r.URL.RawQuery, "%") {
		if query, _ := url.ParseQuery(r.URL.RawQuery); query.Has("access_token") { // parameters that cannot be parsed do not matter
			return nil, problemCredentials
		}
	}
	found, err := a.Verifier.Find(r.Header)
	if err != nil {
		return nil, err
	}
	if found.Header != "" && (a.CrossSite == nil || a.CrossSite(r)) {
		return nil, problemCrossOrigin
	}
	caller, err := a.Verifier.VerifyFound(r.Context(), found)
	if err != nil || !caller.Own {
		return caller, err
	}
	ended, err := a.Manager.Revoked(r.Context(), caller)
	if ended {
		err = sessions.ErrRevoked
	}
	return caller, err
}

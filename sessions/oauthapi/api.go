package oauthapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/urlpath"
)

// Sessions are what a sessions.Manager does.
type Sessions interface {
	Create(ctx context.Context, req *sessions.CreateRequest) (*sessions.Grant, error)
	Refresh(ctx context.Context, req *sessions.RefreshRequest) (*sessions.Grant, error)
	Current(ctx context.Context, req *sessions.RefreshRequest) (sessions.Session, error)
	Introspect(ctx context.Context, req *sessions.RefreshRequest) (sessions.Session, error)
	CurrentOf(ctx context.Context, c *sessions.Caller) (sessions.Session, error)
	SignOut(ctx context.Context, s *sessions.Session, ip string) error
	Revoked(ctx context.Context, c *sessions.Caller) (bool, error)
}

// A Verifier is what a bearer.Verifier does.
type Verifier interface {
	Verify(ctx context.Context, token string) (*sessions.Caller, error)
	VerifyOwn(ctx context.Context, token string) (*sessions.Caller, error)
	IssuerOf(token string) string
	Trust(issuer string) *sessions.Trust
}

// Config is what an API is made of.
type Config struct {
	// Issuer is ours: a URL, whose path is clean. The endpoints are at its origin.
	Issuer string
	// Path is below which the endpoints are, absolute and clean; "" serves the discovery
	// documents alone.
	Path string
	// KeysPath is where the public keys of access tokens are served.
	KeysPath string
	// Keys returns these keys, and MaxAge is how long others may remember what the documents
	// say.
	Keys   func() []*jose.Key
	MaxAge time.Duration
	// Clients are those that may use the endpoints.
	Clients []Client
	// Audience are the resource servers that take access tokens.
	Audience []string

	Sessions Sessions
	Verifier Verifier
	// Now is the clock that failures and assertions are timed by. Default: time.Now.
	Now func() time.Time
	// ClientIP returns the address that a request came from.
	ClientIP func(*http.Request) string
	// Memory is that of the API before this one. Default: a new one.
	Memory *Memory
	// Observer hears of every request that was refused or failed, and of addresses that are
	// limited. Nil is sessions.Silent.
	Observer sessions.Observer
}

// An API answers the requests that Route says are ours.
type API struct {
	Config
	origin    string
	paths     []urlpath.Own
	served    []endpointAt // at paths: the endpoints, and then the documents
	endpoints int          // how many of served
	clients   *clients
	bodies    endpoint.Bodies
}

// An endpointAt is what is served at a path.
type endpointAt struct {
	methods []string
	serve   func(*API, http.ResponseWriter, *http.Request) error
}

// New checks the configuration and returns an API for it.
func New(c Config) (*API, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" {
		return nil, errors.New("the issuer is not an absolute URL")
	}
	if c.Observer == nil {
		c.Observer = sessions.Silent{}
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default of the clock
	}
	if c.Memory == nil {
		c.Memory = NewMemory()
	}
	a := &API{Config: c, origin: u.Scheme + "://" + u.Host}
	if c.Path != "" {
		a.add(c.Path+"/token", []string{http.MethodPost}, (*API).token)
		a.add(c.Path+"/revoke", []string{http.MethodPost}, (*API).revoke)
		a.add(c.Path+"/introspect", []string{http.MethodPost}, (*API).introspect)
	}
	a.endpoints = len(a.served)
	for _, path := range Documents(strings.TrimSuffix(u.Path, "/")) {
		a.add(path, []string{http.MethodGet, http.MethodHead}, (*API).metadata)
	}
	a.clients, err = newClients(&a.Config, a.url("/token"), a.url("/revoke"), a.url("/introspect"))
	return a, err
}

func (a *API) add(path string, methods []string, serve func(*API, http.ResponseWriter, *http.Request) error) {
	a.paths = append(a.paths, urlpath.NewOwn(path, false))
	a.served = append(a.served, endpointAt{methods, serve})
}

// url returns the URL of an endpoint.
func (a *API) url(name string) string { return a.origin + a.Path + name }

// Route reports whose request it is: ours on the paths of the endpoints and documents, by
// any method. It does not allocate for canonical paths of ASCII.
func (a *API) Route(r *http.Request) urlpath.Match { return urlpath.First(a.paths, r.URL) }

// Serve answers a request of which Route said that it is not the app's. A panic is answered
// 500, and reported as a failure with its stack.
func (a *API) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	if err := endpoint.Safely(func() error { return a.serve(w, r, m) }); err != nil {
		a.fail(w, r, err)
	}
}

// NeedsStore reports whether the answer to a request needs the store. The documents need the keys
// alone.
func (a *API) NeedsStore(m urlpath.Match) bool { return m.At < a.endpoints }

// Unavailable answers a request that is ours while what it needs is not open.
func (a *API) Unavailable(w http.ResponseWriter, r *http.Request, _ urlpath.Match, cause error) {
	a.fail(w, r, fmt.Errorf("%w: %w", sessions.ErrUnavailable, cause))
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) error {
	if m.Owner != urlpath.Ours {
		return errPath
	}
	found := &a.served[m.At]
	if slices.Contains(found.methods, r.Method) {
		return found.serve(a, w, r)
	}
	w.Header().Set("Allow", strings.Join(found.methods, ", "))
	return errMethod
}

// fail answers an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	known := errorOf(err)
	a.Observer.Failed(r.Context(), known.status, err)
	defer endpoint.LeaveBody(w, r)()
	known.write(w, r.Header)
}

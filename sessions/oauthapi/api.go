package oauthapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/urlpath"
)

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

	Sessions *sessions.Manager
	Verifier *bearer.Verifier
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
	endpoint.Table
	origin  string
	clients *clients
	bodies  endpoint.Bodies
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
	a.Table = endpoint.Table{Fail: a.fail, NoPath: errPath, NoMethod: errMethod}
	if c.Path != "" {
		a.Add(c.Path+"/token", endpoint.Served{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.token})
		a.Add(c.Path+"/revoke", endpoint.Served{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.revoke})
		a.Add(c.Path+"/introspect", endpoint.Served{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.introspect})
	}
	for _, path := range Documents(strings.TrimSuffix(u.Path, "/")) { // of which the keys are all that they need
		a.Add(path, endpoint.Served{Methods: []string{http.MethodGet, http.MethodHead}, Serve: a.metadata})
	}
	a.clients, err = newClients(&a.Config, a.url("/token"), a.url("/revoke"), a.url("/introspect"))
	return a, err
}

// url returns the URL of an endpoint.
func (a *API) url(name string) string { return a.origin + a.Path + name }

// fail answers an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, _ urlpath.Match, err error) {
	known := errorOf(err)
	a.Observer.Failed(r.Context(), known.status, err)
	defer endpoint.LeaveBody(w, r)()
	known.write(w, r.Header)
}

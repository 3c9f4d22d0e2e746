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

// Config is the configuration of an API.
type Config struct {
	// Issuer is our issuer: a URL with a clean path. The endpoints are at its origin.
	Issuer string
	// Path is the path below which the endpoints are, absolute and clean; "" serves only the
	// discovery documents.
	Path string
	// KeysPath is the path of the public keys of access tokens.
	KeysPath string
	// Keys returns these keys, and MaxAge is how long the documents may be cached.
	Keys   func() []*jose.Key
	MaxAge time.Duration
	// Clients are the clients that may use the endpoints.
	Clients []Client
	// Audience are the resource servers that accept access tokens.
	Audience []string

	Sessions *sessions.Manager
	Verifier *bearer.Verifier
	// Now is the clock for failures and assertions. Default: time.Now.
	Now func() time.Time
	// ClientIP returns the client's address of a request.
	ClientIP func(*http.Request) string
	// Memory is that of the previous API. Default: a new one.
	Memory *Memory
	// Observer is called for every request that was refused or failed, and for addresses that are
	// limited. Nil means sessions.Silent.
	Observer sessions.Observer
}

// An API serves the requests that Route matches.
type API struct {
	Config
	endpoint.Table
	origin  string
	clients *clients
	bodies  endpoint.Bodies
}

// New validates the configuration and returns an API.
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
		a.Add(c.Path+"/token", endpoint.Endpoint{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.token})
		a.Add(c.Path+"/revoke", endpoint.Endpoint{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.revoke})
		a.Add(c.Path+"/introspect", endpoint.Endpoint{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.introspect})
	}
	for _, path := range Documents(strings.TrimSuffix(u.Path, "/")) { // they need at most the keys
		a.Add(path, endpoint.Endpoint{Methods: []string{http.MethodGet, http.MethodHead}, Serve: a.metadata})
	}
	a.clients, err = newClients(&a.Config, a.url("/token"), a.url("/revoke"), a.url("/introspect"))
	return a, err
}

// url returns the URL of an endpoint.
func (a *API) url(name string) string { return a.origin + a.Path + name }

// fail writes an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, _ urlpath.Match, err error) {
	known := errorOf(err)
	a.Observer.Failed(r.Context(), known.status, err)
	defer endpoint.LeaveBody(w, r)()
	known.write(w, r.Header)
}

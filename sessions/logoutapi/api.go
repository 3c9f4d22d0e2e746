package logoutapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/urlpath"
)

// The endpoints, below the path of the others.
const (
	LogoutPath = "/backchannel-logout"
	EventsPath = "/events"
)

// A Verifier is what a bearer.Verifier does.
type Verifier interface {
	VerifySigned(ctx context.Context, token string, check func(*bearer.Signed) error) (*bearer.Signed, error)
}

// Logouts are what a logout.Logouts does.
type Logouts interface {
	Apply(ctx context.Context, n *logout.Notice) (logout.Outcome, error)
}

// A Listener is what is configured of an issuer.
type Listener struct {
	// Clients are ours at the issuer: one must be in the "aud" of a logout token. None: it
	// sends no logout tokens.
	Clients []string
	// Events are what it pushes; nil: none.
	Events *Events
}

// Events are the security events of an issuer.
type Events struct {
	// Audiences are our names for the transmitter: one must be in the "aud" of a token.
	Audiences []string
	// TokenHash is the SHA-256 of the bearer token that the transmitter presents; empty where
	// it presents none.
	TokenHash []byte
	// Actions are what events do, by their names (Actionable). Default: logout.Revoke.
	Actions map[string]logout.Action
}

// Config is what an API is made of.
type Config struct {
	// Path is below which the endpoints are, absolute and clean.
	Path string
	// Listeners are the issuers that are listened to, by the Name of their bearer.Issuer.
	Listeners map[string]*Listener
	Verifier  Verifier
	Logouts   Logouts
	// Now is the clock that tokens are checked by. Default: time.Now.
	Now func() time.Time
	// ClientIP returns the address that a request came from.
	ClientIP func(*http.Request) string
	// Heard hears of each token, good or not. Default: none.
	Heard func(ctx context.Context, h *Heard)
	// Observer hears of every request that was refused or failed. Nil is sessions.Silent.
	Observer sessions.Observer
}

// An API answers the requests that Route says are ours.
type API struct {
	Config
	paths  []urlpath.Own
	served []served // at paths
	bodies endpoint.Bodies
}

// A served is what is served at a path.
type served struct {
	serve  func(http.ResponseWriter, *http.Request) error
	pushed bool // errors are those of RFC 8935
}

// New returns an API that serves what at least one issuer uses.
func New(c Config) *API {
	if c.Observer == nil {
		c.Observer = sessions.Silent{}
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default of the clock
	}
	if c.Heard == nil {
		c.Heard = func(context.Context, *Heard) {}
	}
	a := &API{Config: c}
	logouts, events := false, false
	for _, l := range c.Listeners {
		logouts, events = logouts || len(l.Clients) > 0, events || l.Events != nil
	}
	if logouts {
		a.add(c.Path+LogoutPath, served{a.logout, false})
	}
	if events {
		a.add(c.Path+EventsPath, served{a.events, true})
	}
	return a
}

func (a *API) add(path string, s served) {
	a.paths, a.served = append(a.paths, urlpath.NewOwn(path, false)), append(a.served, s)
}

// Route reports whose request it is: ours on the paths of the endpoints, by any method.
func (a *API) Route(r *http.Request) urlpath.Match { return urlpath.First(a.paths, r.URL) }

// Serve answers a request of which Route said that it is not the app's. A panic is answered
// 500, and reported as a failure with its stack.
func (a *API) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	if err := endpoint.Safely(func() error { return a.serve(w, r, m) }); err != nil {
		a.fail(w, r, m, err)
	}
}

// NeedsStore reports true: each answer needs the store.
func (*API) NeedsStore(urlpath.Match) bool { return true }

// Unavailable answers a request that is ours while what it needs is not open.
func (a *API) Unavailable(w http.ResponseWriter, r *http.Request, m urlpath.Match, cause error) {
	a.fail(w, r, m, fmt.Errorf("%w: %w", sessions.ErrUnavailable, cause))
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) error {
	switch {
	case m.Owner != urlpath.Ours:
		return errPath
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return errMethod
	}
	return a.served[m.At].serve(w, r)
}

// done answers that a token was taken: without a body, and for no cache (Back-Channel Logout
// 1.0 section 2.8, RFC 8935 section 2.2).
func done(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// fail answers an error, as the endpoint writes them.
func (a *API) fail(w http.ResponseWriter, r *http.Request, m urlpath.Match, err error) {
	answer := answerOf(err)
	a.Observer.Failed(r.Context(), answer.status, err)
	defer endpoint.LeaveBody(w, r)()
	answer.write(w, a.served[m.At].pushed)
}

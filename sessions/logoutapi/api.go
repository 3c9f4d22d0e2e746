package logoutapi

import (
	"context"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/urlpath"
)

// The endpoints, below the path of the other ones.
const (
	LogoutPath = "/backchannel-logout"
	EventsPath = "/events"
)

// Logouts is the part of logout.Logouts that is needed here.
type Logouts interface {
	Apply(ctx context.Context, n *logout.Notice) (logout.Outcome, error)
}

// A Listener is the configuration of one issuer.
type Listener struct {
	// Clients are our client ids at the issuer: one must be in the "aud" of a logout token. If
	// there are none, the issuer sends no logout tokens.
	Clients []string
	// Events configures pushed events; nil for none.
	Events *Events
}

// Events is the configuration of an issuer's security events.
type Events struct {
	// Audiences are our names for the transmitter: one must be in the "aud" of a token.
	Audiences []string
	// TokenHash is the SHA-256 of the bearer token that the transmitter presents; empty if it
	// presents none.
	TokenHash []byte
	// Actions are the actions of events, by name (Actionable). The default is logout.Revoke.
	Actions map[string]logout.Action
}

// Config is the configuration of an API.
type Config struct {
	// Path is the path below which the endpoints are: absolute and clean.
	Path string
	// Listeners are the issuers that send notices, by the Name of their bearer.Issuer.
	Listeners map[string]*Listener
	Verifier  *bearer.Verifier
	Logouts   Logouts
	// Now is the clock that tokens are checked with. Default: time.Now.
	Now func() time.Time
	// ClientIP returns the client's address of a request.
	ClientIP func(*http.Request) string
	// Report is called for each token, valid or not. Optional.
	Report func(ctx context.Context, h *Result)
	// Observer is called for every request that was refused or failed. Nil means sessions.Silent.
	Observer sessions.Observer
}

// An API serves the requests that Route matches.
type API struct {
	Config
	endpoint.Table
	pushed int // index of the endpoint whose errors are those of RFC 8935; -1 for none
	bodies endpoint.Bodies
}

// New returns an API with the endpoints that at least one issuer uses.
func New(c Config) *API {
	if c.Observer == nil {
		c.Observer = sessions.Silent{}
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default of the clock
	}
	if c.Report == nil {
		c.Report = func(context.Context, *Result) {}
	}
	a := &API{Config: c, pushed: -1}
	a.Table = endpoint.Table{Fail: a.fail, NoPath: errPath, NoMethod: errMethod}
	logouts, events := false, false
	for _, l := range c.Listeners {
		logouts, events = logouts || len(l.Clients) > 0, events || l.Events != nil
	}
	if logouts {
		a.Add(c.Path+LogoutPath, endpoint.Endpoint{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.logout})
	}
	if events {
		a.pushed = a.Add(c.Path+EventsPath, endpoint.Endpoint{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.events})
	}
	return a
}

// acknowledge acknowledges a token: without a body, and not to be cached (Back-Channel Logout 1.0
// section 2.8, RFC 8935 section 2.2).
func acknowledge(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// fail writes an error in the form of the endpoint.
func (a *API) fail(w http.ResponseWriter, r *http.Request, m urlpath.Match, err error) {
	answer := answerOf(err)
	a.Observer.Failed(r.Context(), answer.status, err)
	defer endpoint.LeaveBody(w, r)()
	answer.write(w, m.At == a.pushed)
}

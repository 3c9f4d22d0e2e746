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

// The endpoints, below the path of the others.
const (
	LogoutPath = "/backchannel-logout"
	EventsPath = "/events"
)

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
	Verifier  *bearer.Verifier
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
	endpoint.Table
	pushed int // the place of the endpoint whose errors are those of RFC 8935; -1 for none
	bodies endpoint.Bodies
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
	a := &API{Config: c, pushed: -1}
	a.Table = endpoint.Table{Fail: a.fail, NoPath: errPath, NoMethod: errMethod}
	logouts, events := false, false
	for _, l := range c.Listeners {
		logouts, events = logouts || len(l.Clients) > 0, events || l.Events != nil
	}
	if logouts {
		a.Add(c.Path+LogoutPath, endpoint.Served{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.logout})
	}
	if events {
		a.pushed = a.Add(c.Path+EventsPath, endpoint.Served{Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.events})
	}
	return a
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
	answer.write(w, m.At == a.pushed)
}

package caddymodule

import (
	"context"
	"net/http"
	"slices"

	"authsidecar/caddymodule/cli/explain"
	"authsidecar/caddymodule/identity"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/event"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/oauthapi"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/urlpath"
)

// addReports creates the reporter of the instance's events.
func (inst *instance) addReports(h *Handler) (err error) {
	config := observe.Config{
		Issuer: inst.issuer, Logger: inst.logger, Mend: inst.refusedMend,
		Refusals: identity.RefusalCodes,
		Block: observe.Block{
			Trusted: inst.trusted(),
			Rings: []observe.Ring{
				{Use: "refresh", Keys: inst.keyring.Refresh, Generated: h.RefreshToken.Key == ""},
				{Use: "access", Keys: inst.keyring.Access, Generated: h.AccessToken.Key == ""},
			},
			Ready: inst.ready.Load,
			Ping:  func(ctx context.Context) error { return ping(ctx, inst.store.Load().store) },
			Watch: func() *revocation.Watcher { return &inst.store.Load().watch },
			Live:  inst.live,
		},
	}
	if h.OAuth != nil {
		config.Refusals = slices.Concat(config.Refusals, oauthapi.AttackReasons)
	}
	if h.Audit != nil {
		config.AuditFile, config.AuditRequired = h.Audit.File, h.Audit.Required
	}
	inst.Reporter, err = observe.New(h.ctx, config)
	return err
}

// trusted returns the issuers that are trusted, in the order of the configuration.
func (inst *instance) trusted() []bearer.Issuer {
	issuers := make([]bearer.Issuer, len(inst.trust))
	for i, t := range inst.trust {
		issuers[i] = t.issuer
	}
	return issuers
}

// live returns the count of sessions in the store; nil before the store is open.
func (inst *instance) live() *observe.Live {
	store := inst.store.Load()
	if store == nil {
		return nil
	}
	return &store.live
}

// refusedMend returns what to do about a refused token of that issuer.
func (inst *instance) refusedMend(reason bearer.Reason, issuer string) string {
	switch {
	case reason == observe.Malformed:
		return "send one token, once: Authorization: Bearer <token>"
	case reason == observe.Several:
		return "delete the cookies of the site in the browser and sign in again: two sessions came in cookies of one name. If it happens again, look for what sets one of them: a sister site, or another Path or Domain than before"
	case reason == observe.ClientAuth:
		return "let the client refresh at the token endpoint of oauth (/oauth/token, unless path says otherwise), where it authenticates: current/refresh is for tokens of public clients and of no client"
	case issuer == inst.issuer:
		return explain.MendOwn(reason)
	case reason == bearer.ReasonUnknownIssuer && issuer != "":
		return "requests of the app are made with access tokens of this site; to accept those of trusted issuers too, write: identity { accept callers }"
	default:
		return explain.Mends[reason]
	}
}

// An observer receives the events of an instance: it reports them, and closes the streams of
// sessions that are revoked.
type observer struct{ *instance }

// Event implements sessions.Observer.
func (o observer) Event(ctx context.Context, e *sessions.Event) {
	o.endStreams(e)
	if e.Kind == event.Created && o.logouts != nil {
		o.logouts.Created(o.trustOf(e.Session), e.Session)
	}
	o.Reporter.Event(ctx, e)
}

// endStreams closes the streams of a session that was revoked. The deny list does that for most
// sessions, but not for one whose last access token expired long ago.
func (o observer) endStreams(e *sessions.Event) {
	if store := o.store.Load(); store != nil && !e.Session.RevokedAt.IsZero() {
		store.streams.End(e.Session.Key())
	}
}

// Expired implements sessions.Observer. The store reports it to the observer of the session's realm.
func (o observer) Expired(s *sessions.Session) { o.store.Load().expired(s) }

// endpoints are a group of our own endpoints.
type endpoints interface {
	// Route matches a request. It does not allocate for requests that pass.
	Route(r *http.Request) urlpath.Match
	// Serve answers a request that Route matched.
	Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match)
	// NeedsStore reports whether answering the match requires the store, rather than only the keys.
	NeedsStore(m urlpath.Match) bool
	// Unavailable answers such a request while a part that it needs is not open.
	Unavailable(w http.ResponseWriter, r *http.Request, m urlpath.Match, cause error)
}

// addAPI adds the endpoints on the path and below it.
func (inst *instance) addAPI(h *Handler) (err error) {
	c := httpapi.Config{
		Path: h.Path, Verifier: inst.verifier, Manager: inst.manager,
		Lifecycle: h.Lifecycle, KeySet: h.PublishesKeys(), Keys: inst.keyring.Access.Public, KeysMaxAge: keyCache,
		CrossSite: forward.CrossSite, ClientIP: observe.ClientIP, RequestID: observe.RequestID, Observer: observer{inst},
	}
	if len(h.Trust) == 1 {
		c.ActorIssuer = h.Trust[0].Issuer
	}
	if inst.cookies != nil {
		c.Cookies = browser.Cookies{Authenticator: inst.cookies}
		c.SignIn = inst.links.SignIn
		c.Deliver = browser.Handover{Authenticator: inst.cookies, Links: inst.links, Path: h.Path}
	}
	if h.OpenAPI {
		c.OpenAPI, err = description(&h.Block)
	}
	inst.own = append(inst.own, httpapi.New(c))
	return err
}

// serve answers a request for our endpoints.
func (inst *instance) serve(own endpoints, w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	defer observe.Answered(r)()
	if inst.cors.Serve(w, r) {
		return
	}
	open := inst.openKeys
	if own.NeedsStore(m) {
		open = inst.open
	}
	if err := open(r.Context()); err != nil {
		own.Unavailable(w, r, m, err)
		return
	}
	own.Serve(w, r, m)
}

// Interface guard
var _ sessions.Observer = observer{}

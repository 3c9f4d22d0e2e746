package identity

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/streams"
)

// Config is what a Middleware is made of. All of it but Browser, Banner, and Impersonation's and Identity's
// optional parts, is required.
type Config struct {
	*config.Identity // the block, with its defaults

	Impersonation *config.Impersonation // deny and read_only
	Issuer        string                // our own: the realm
	TokenHeaders  *forward.Names        // where callers' tokens are, beside Authorization; nil: nowhere
	Logger        *zap.Logger
	Verifier      *bearer.Verifier
	Browser       *browser.API   // nil: no cookies of ours
	SignOut       []string       // paths of the app at which people sign out there
	Banner        *banner.Banner // nil: no bar on pages
	Manager       *sessions.Manager
	Reports       *observe.Reporter

	// Open returns nil when the store and the keys are open, and else why they are not yet.
	Open func(context.Context) error
	// Streams are what is open for sessions. It is called when Open returned nil.
	Streams func() *streams.Registry
}

// A Middleware decides who is asking, for each request that goes to the app, and hands it on,
// or refuses it. It is safe for concurrent use.
type Middleware struct {
	Config

	names  *forward.Names
	strict *forward.Names // and forward.PathHeaders
	maker  uint32         // nobody else's in this process
	fields []forward.Field
	claims []bool // which of fields are claims
	exempt exemptPath
	exits  PathGuard // where people sign out
	guards guards
	nobody *identity // of whom nothing is known
	routes sync.Map  // whether routes of a *caddyhttp.Server catch errors
	seen   sync.Map  // headers that were seen in shadow mode
}

var makers atomic.Uint32

// New makes the middleware of an identity block.
func New(c Config) *Middleware {
	m := &Middleware{Config: c, maker: makers.Add(1), exempt: exemptPath{pathpattern.New(c.Exempt)}, exits: NewPathGuard(c.SignOut), guards: newGuards(c)}
	m.nobody = &identity{by: m}
	names, fields := c.Fields()
	m.fields = fields
	for _, field := range fields {
		_, isClaim := field.Claim()
		m.claims = append(m.claims, isClaim)
	}
	var replaced []string
	if c.Assertion != nil {
		replaced = []string{"Authorization"}
	}
	m.names = forward.NewNames(names, replaced...)
	m.strict = forward.NewNames(slices.Concat(names, forward.PathHeaders), replaced...)
	for n := range m.Headers {
		m.Headers[n].Name = http.CanonicalHeaderKey(m.Headers[n].Name)
	}
	return m
}

// ServeHTTP hands a request on to the app, with what is known of who is asking, or refuses it.
func (m *Middleware) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	who, err := m.serve(w, r, next)
	if err != nil {
		return m.fail(w, r, who, err)
	}
	return nil
}

// serve hands a request on, if it may. who is whose it is, nil where that is not decided.
// What another block decided before stays.
func (m *Middleware) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (who *identity, err error) {
	before, _ := decided(r)
	if before != nil && before.by == m { // the same block, once more
		return before, next.ServeHTTP(w, r)
	}
	m.scrub(r, before)
	observe.Arrived(r)
	who, settle, err := m.authenticate(w, r)
	if m.Banner != nil && settle != nil && who.impersonated() {
		next = m.withBanner(r, who, next)
	}
	if settle != nil || m.Browser != nil && (before == nil || before.by.Browser == nil) {
		settled := newSettledWriter(w, settle)
		defer settled.finish(0) // of an answer that others write, error routes too
		next = settled.before(next)
	}
	if err != nil {
		return before, err
	}
	m.withhold(r, who)
	if before.known() {
		if who.known() && *who.Who != *before.Who {
			return before, &refusal{Problem: errTwoIdentities, by: m, who: before}
		}
		return before, next.ServeHTTP(w, r)
	}
	observe.Forwarded(r, who.Who)
	if err := m.setHeaders(r, who); err != nil {
		return who, m.unavailable(err)
	}
	return who, m.guard(w, r, who, next)
}

// scrub takes the headers of ours out of a request, but those that a block before set, and
// those that rename its path.
func (m *Middleware) scrub(r *http.Request, before *identity) {
	if m.Shadow {
		m.tryScrub(r)
		return
	}
	var set *forward.Names
	if before.known() && !before.by.Shadow {
		set = before.by.names
	}
	m.removed(r).Scrub(r, set)
}

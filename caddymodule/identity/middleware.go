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
	"authsidecar/caddymodule/internal/routes"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/streams"
)

// Config is the configuration of a Middleware. Everything is required except Browser, Banner, and
// the optional parts of Impersonation and Identity.
type Config struct {
	*config.Identity // with defaults

	Impersonation *config.Impersonation // deny and read_only
	Issuer        string                // our issuer: the realm
	TokenHeaders  *forward.Names        // headers with callers' tokens, beside Authorization; nil for none
	Logger        *zap.Logger
	Verifier      *bearer.Verifier
	Browser       *browser.API   // nil without cookies of ours
	SignOut       []string       // paths of the app at which people sign out
	Banner        *banner.Banner // nil without a bar
	Manager       *sessions.Manager
	Reports       *observe.Reporter

	// Open returns nil if the store and the keys are open, and else why they are not.
	Open func(context.Context) error
	// Streams returns what is open for sessions. It is called after Open has returned nil.
	Streams func() *streams.Registry
}

// A Middleware authenticates each request for the app, and forwards or refuses it. It is safe for
// concurrent use.
type Middleware struct {
	Config

	names        *forward.Names
	strict       *forward.Names // and forward.PathHeaders
	maker        uint32         // unique within this process
	fields       []forward.Field
	claims       []bool // which fields are claims
	exempt       exemptPath
	signOutPaths PathGuard // paths at which people sign out
	denied       PathGuard // closed to impersonated sessions
	nobody       *identity // the anonymous identity
	errors       routes.ErrorRoutes
	seen         sync.Map // headers that were logged in shadow mode
}

var makerCount atomic.Uint32

// New creates the middleware of an identity block.
func New(c Config) *Middleware {
	m := &Middleware{Config: c, maker: makerCount.Add(1), exempt: exemptPath{pathpattern.New(c.Exempt)}, signOutPaths: NewPathGuard(c.SignOut), denied: NewPathGuard(c.Impersonation.Deny)}
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

// ServeHTTP authenticates a request and forwards it to the app, or refuses it.
func (m *Middleware) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	who, err := m.serve(w, r, next)
	if err != nil {
		return m.fail(w, r, who, err)
	}
	return nil
}

// serve forwards a request if it is allowed. who is its identity, or nil if that is unknown. The
// identity that another block has set stays.
func (m *Middleware) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (who *identity, err error) {
	before, _ := decided(r)
	if before != nil && before.by == m { // the same block again
		return before, next.ServeHTTP(w, r)
	}
	m.scrub(r, before)
	observe.Arrived(r)
	who, settle, err := m.authenticate(w, r)
	if m.Banner != nil && settle != nil && who.isImpersonated() {
		next = m.withBanner(r, who, next)
	}
	if settle != nil || m.Browser != nil && (before == nil || before.by.Browser == nil) {
		settled := newSettledWriter(w, settle)
		defer settled.finish(0) // for a response that others write, including error routes
		next = settled.before(next)
	}
	if err != nil {
		return before, err
	}
	m.dropTokens(r, who)
	if before.isKnown() {
		if who.isKnown() && *who.Who != *before.Who {
			return before, &refusal{Problem: errTwoIdentities, by: m, who: before}
		}
		return before, next.ServeHTTP(w, r)
	}
	observe.Forwarded(r, who.Who, routes.HasAccessLog)
	if err := m.setHeaders(r, who); err != nil {
		return who, m.unavailable(err)
	}
	return who, m.guard(w, r, who, next)
}

// scrub removes our headers from a request, except those that an earlier block has set, and headers
// that rename its path.
func (m *Middleware) scrub(r *http.Request, before *identity) {
	if m.Shadow {
		m.logScrub(r)
		return
	}
	var set *forward.Names
	if before.isKnown() && !before.by.Shadow {
		set = before.by.names
	}
	m.strippedNames(r).Scrub(r, set)
}

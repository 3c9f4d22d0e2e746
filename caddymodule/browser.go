package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/caddymodule/internal/routes"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/browser/console"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/urlpath"
)

// newAuthenticator creates the authenticator of cookies; nil without browser.
func (inst *instance) newAuthenticator(h *Handler) *browser.Authenticator {
	jar := h.Jar()
	if jar == nil {
		return nil
	}
	return &browser.Authenticator{
		Jar: jar, Verifier: inst.verifier, Manager: inst.manager, ClientIP: observe.ClientIP, RequestID: observe.RequestID, ActingHost: inst.links.ActingHost(),
		Incomplete: func(what string, err error) {
			inst.logger.Warn("could not "+what, zap.String("issuer", inst.issuer), zap.Error(err))
		},
	}
}

// Cookies add up: those of an app, and those that a subdomain plants, up to what a browser keeps
// for a site, about 180 of 4 KB. If the server refused such requests before any handler sees them,
// the person could not sign out, and Caddy refuses more than caddyHeader bytes.
const (
	caddyHeader   = 16 << 10
	browserHeader = http.DefaultMaxHeaderBytes
)

// raiseHeaderLimit raises the header limit of the handler's server to fit all the cookies that a
// browser can send, unless the operator configured a limit.
func (h *Handler) raiseHeaderLimit() {
	server, ok := h.ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if h.Browser == nil || !ok {
		return
	}
	if server.MaxHeaderBytes == caddyHeader {
		server.MaxHeaderBytes = browserHeader
	}
	h.raised = server.MaxHeaderBytes == browserHeader
}

// A request with a header of more than caddyHeader bytes occupies its memory for as long as it
// lasts, and over HTTP/2 a few hundred bytes can send it. So where the limit was raised, at most
// maxLongRequests of them are in progress in a process.
const maxLongRequests = 64

var longRequests atomic.Int64

// admitLongRequest reports whether the request may continue; call done at its end. Refused requests
// get no body, so that no slow reader can occupy them.
func (h *Handler) admitLongRequest(w http.ResponseWriter, r *http.Request) (done func(), ok bool) {
	if !h.raised || !isLongRequest(r) {
		return nil, true
	}
	if longRequests.Add(1) <= maxLongRequests {
		return func() { longRequests.Add(-1) }, true
	}
	longRequests.Add(-1)
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge) // RFC 6585 section 5
	return nil, false
}

// isLongRequest reports whether what the header limit counts exceeds caddyHeader bytes: names,
// values, and the request target.
func isLongRequest(r *http.Request) bool {
	size := len(r.RequestURI) + len(r.Host)
	for name, lines := range r.Header {
		for _, line := range lines {
			size += len(name) + len(line)
		}
	}
	return size > caddyHeader
}

// addBrowser adds the endpoints for browsers, if browser is configured, and the identity middleware.
func (inst *instance) addBrowser(h *Handler) (err error) {
	if inst.cookies == nil {
		inst.identity = inst.newIdentity(h, nil)
		return nil
	}
	c := browser.Config{Path: h.Path, Authenticator: inst.cookies, Links: inst.links, Banner: h.Browser.Banner, Observer: observer{inst}}
	if h.Browser.SignIn != nil {
		if c.SignIn, err = inst.newSignIn(h, h.Path+browser.OpenPath, h.Origin(), h.ImpersonateOrigin()); err != nil {
			return err
		}
	}
	api := browser.New(c)
	inst.own, inst.identity = append(inst.own, api), inst.newIdentity(h, api)
	return nil
}

// newBanner creates the banner; nil without banner.
func (inst *instance) newBanner(h *Handler) *banner.Banner {
	if h.Browser == nil || !h.Browser.Banner {
		return nil
	}
	_, secure := inst.cookies.Jar.Flows()
	return &banner.Banner{Path: h.Path, Secure: secure, Count: inst.Banner}
}

// newLinks creates the configuration of links; nil without browser.
func newLinks(h *Handler) *browser.Links {
	if h.Browser == nil {
		return nil
	}
	links := &browser.Links{Origin: h.Origin(), ImpersonateOrigin: h.ImpersonateOrigin(), ExpireCookies: h.Browser.ExpireCookies}
	if h.Browser.SignIn != nil {
		links.SignIn = h.Path + browser.SignInPath
	}
	return links
}

// A consoleHost serves the requests to the host of the console.
type consoleHost struct{ *console.Console }

// Serve implements endpoints. Its events are recorded with a note.
func (c consoleHost) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	c.Console.Serve(w, r.WithContext(observe.WithNote(r.Context(), "by the console")), m)
}

// addConsole adds the host of the console, if one is configured. Its access tokens are valid only
// there, and no others are valid there.
func (inst *instance) addConsole(h *Handler) error {
	origin := h.ConsoleOrigin()
	if origin == "" {
		return nil
	}
	verifier, err := bearer.New(bearer.Config{Observer: observer{inst}, Issuers: []bearer.Issuer{inst.ownIssuer([]string{origin})}})
	if err != nil {
		return fmt.Errorf("browser: console: %w", err)
	}
	cookies := inst.newAuthenticator(h)
	cookies.Verifier, cookies.ActingHost = verifier, ""
	c := browser.Config{Path: h.Path, Authenticator: cookies, Links: &browser.Links{Origin: origin, ImpersonateOrigin: origin}, Observer: observer{inst}, Console: true}
	if c.SignIn, err = inst.newSignIn(h, "", origin); err != nil {
		return err
	}
	made := console.Config{Origin: origin, Path: h.Path, Browsers: browser.New(c), Links: inst.links, Issuer: h.Browser.SignIn.Issuer, Issuers: h.ActorIssuers()}
	if h.Audit != nil {
		made.Audit = h.Audit.File
	}
	pages, err := console.New(made)
	if err == nil {
		inst.own = append(inst.own, consoleHost{pages})
	}
	return err
}

// newSignIn creates the client that signs people in at the origins of the site. At all origins but
// the first, only otherWayBack is a valid return path, if it is not "". The provider is not
// contacted before the first sign-in.
func (inst *instance) newSignIn(h *Handler, otherWayBack string, origins ...string) (client *signin.Client, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("browser: sign_in %s: %w", h.Browser.SignIn.Issuer, err)
		}
	}()
	s, trust := h.Browser.SignIn, h.SignInTrust()
	c := signin.Config{
		Issuer: s.Issuer, ClientID: s.ClientID, Scopes: s.Scopes, InsecureHTTP: trust.InsecureHTTP,
		Origins: origins, Path: h.Path + browser.SignInPath,
		OtherReturnTo: otherWayBack, Key: func() []byte { return inst.manager.IDSecret },
	}
	c.Cookie, c.Secure = inst.cookies.Jar.Flows()
	if s.ClientSecret != "" {
		if c.ClientSecret, err = placeholder.Resolve(s.ClientSecret); err != nil {
			return nil, fmt.Errorf("client_secret: %w", err)
		}
		if c.ClientSecret == "" {
			return nil, errors.New("client_secret is empty: give the variable or the file its value, or remove client_secret for a public client")
		}
	}
	roots, err := issuerRoots(trust)
	if err != nil {
		return nil, err
	}
	c.HTTP = bearer.NewClient(roots)
	at := slices.IndexFunc(inst.trust, func(t *trusted) bool { return t.issuer.Name == s.Issuer })
	issuers := []bearer.Issuer{signin.Issuer(inst.trust[at].issuer, s.ClientID)}
	if c.Verifier, err = bearer.New(bearer.Config{Issuers: issuers, CacheBytes: -1}); err != nil { // each ID token is presented once
		return nil, err
	}
	return signin.New(c)
}

// conflict returns the name of a cookie that another realm also sets on one of the hosts; "" if
// there is none. Each realm would treat the other's cookie as that of an expired session, and
// remove it.
func (p *place) conflict(other *place) string {
	if p.Browser == nil || other.Browser == nil || p.Issuer == other.Issuer {
		return ""
	}
	ours, theirs := p.hosts, other.hosts
	if p.server != other.server { // cookies ignore ports; without host matchers, compare the hosts of the issuers
		ours, theirs = p.cookieHosts(), other.cookieHosts()
	}
	if both := ours.And(theirs).Without(p.taken).Without(other.taken); both != nil && len(both) == 0 {
		return ""
	}
	names := other.Jar().Names()
	for _, name := range p.Jar().Names() {
		if slices.Contains(names, name) {
			return name
		}
	}
	return ""
}

// cookieHosts returns the hosts on which the handler sets cookies.
func (p *place) cookieHosts() routes.Hosts {
	if p.hosts != nil {
		return p.hosts
	}
	return p.CookieHosts()
}

package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/browser"
)

// confirmTimeout bounds how long it may take to note that a token arrived.
const confirmTimeout = 10 * time.Second

// newAuthenticator makes what authenticates by cookies; nil without browser.
func (inst *instance) newAuthenticator(h *Handler) *browser.Authenticator {
	jar := h.Jar()
	if jar == nil {
		return nil
	}
	return &browser.Authenticator{
		Jar: jar, Verifier: inst.verifier, Manager: inst.manager, ClientIP: observe.ClientIP, Confirm: inst.confirm,
	}
}

// confirm notes that a token in a cookie arrived, while its request goes on.
func (inst *instance) confirm(c *sessions.Caller) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
		defer cancel()
		if err := inst.manager.Confirm(ctx, c); err != nil { // a later request tries again
			inst.logger.Warn("could not note that a session's new cookies arrived", zap.String("issuer", inst.issuer), zap.Error(err))
		}
	}()
}

// Cookies add up: those of an app, and those that a subdomain plants, up to what a browser keeps
// for a site, some 180 of 4 KB. A server that refuses such requests before any handler sees them
// would keep the person from signing out, and Caddy refuses more than caddyHeader bytes.
const (
	caddyHeader   = 16 << 10
	browserHeader = http.DefaultMaxHeaderBytes
)

// letCookiesIn has the server that the handler is in take requests with all the cookies that a
// browser can have, unless another limit than Caddy's own is configured.
func (h *Handler) letCookiesIn() {
	server, ok := h.ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if h.Browser != nil && ok && server.MaxHeaderBytes == caddyHeader {
		server.MaxHeaderBytes = browserHeader
	}
}

// addBrowser adds the endpoints for browsers, where they are configured.
func (inst *instance) addBrowser(h *Handler) (err error) {
	if inst.cookies == nil {
		return nil
	}
	c := browser.Config{Path: h.Path, Authenticator: inst.cookies, Links: inst.links, Observer: observer{inst}}
	if h.Browser.SignIn != nil {
		if c.SignIn, err = inst.newSignIn(h); err != nil {
			return fmt.Errorf("browser: sign_in %s: %w", h.Browser.SignIn.Issuer, err)
		}
	}
	inst.own = append(inst.own, browser.New(c))
	return nil
}

// newLinks are how sessions are handed over; nil without browser.
func newLinks(h *Handler) *browser.Links {
	if h.Browser == nil {
		return nil
	}
	return &browser.Links{Origin: h.Origin(), ImpersonateOrigin: h.ImpersonateOrigin(), ExpireCookies: h.Browser.ExpireCookies}
}

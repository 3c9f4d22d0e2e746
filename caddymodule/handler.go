package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/identity"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/urlpath"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler gives the users of an app sessions. It answers POST on its path: it verifies the caller's
// bearer JWT, decides whether that caller may have a session for the user in the request, and mints
// a refresh token and an access token. All other requests go to the next handler, unchanged.
type Handler struct {
	config.Block

	ctx    caddy.Context
	logger *zap.Logger
	asJSON []byte // the block, for comparisons
	store  StoreOpener
	app    *App
	inst   *instance // after Validate
	raised bool      // the header limit was raised by raiseHeaderLimit
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.auth_sessions",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets defaults, resolves placeholders and loads the store module. It does not use the
// network or a database, so a configuration can be validated anywhere.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.ctx, h.logger = ctx, ctx.Logger()
	if err := h.Resolve(); err != nil {
		return err
	}
	var err error
	if h.asJSON, err = json.Marshal(h); err != nil { // before loading modules clears their JSON
		return fmt.Errorf("comparing configurations: %w", err)
	}
	store, err := ctx.LoadModule(h, "StoreRaw")
	if err != nil {
		return fmt.Errorf("loading store: %w", err)
	}
	opener, ok := store.(StoreOpener)
	if !ok {
		return fmt.Errorf("store %T does not implement StoreOpener", store)
	}
	h.store = opener
	app, err := ctx.App("auth_sessions")
	if err != nil {
		return err
	}
	h.app = app.(*App)
	h.raiseHeaderLimit()
	return nil
}

// Validate checks the block and, by creating the instance, the files that it names. It logs
// warnings about settings that are valid but dangerous.
func (h *Handler) Validate() error {
	if err := h.Check(); err != nil {
		return err
	}
	if err := h.app.findLayout(h.ctx); err != nil {
		return err
	}
	served := func(host string) bool { return h.app.layout == nil || h.app.layout.serves(h.Issuer, host) }
	for _, text := range append(h.Warnings(), h.WarnHosts(served)...) {
		h.logger.Warn(text, zap.String("issuer", h.Issuer))
	}
	if h.Lifecycle && !h.Discovers() {
		h.logger.Info("libraries that verify access tokens look for the public keys at discovery documents, whose paths are the app's; to serve them, write: discovery",
			zap.String("issuer", h.Issuer), zap.String("path", "/.well-known/openid-configuration"), zap.String("keys", h.Path+"/jwks.json"))
	}
	var err error
	if h.inst, err = h.app.instanceOf(h); err != nil {
		return fmt.Errorf("auth_sessions %s: %w", h.Issuer, err)
	}
	return nil
}

// answersAt reports whether endpoints of the handler answer at a path, for all or some methods.
func (h *Handler) answersAt(path string) bool {
	own := urlpath.NewOwn(h.Path, h.Lifecycle)
	return own.Match(&url.URL{Path: path}).Owner == urlpath.Ours || h.OAuth != nil && strings.EqualFold(h.OAuth.Path, path)
}

// ServeHTTP answers the requests that are ours and passes on all others unchanged.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	done, ok := h.admitLongRequest(w, r)
	if !ok {
		return nil
	}
	if done != nil {
		defer done()
	}
	if h.Health != "" && r.URL.Path == h.Health {
		defer httpapi.LeaveBody(w, r)()
		h.inst.ServeHealth(w, r)
		return nil
	}
	asked := h.inst.cors.Preflighted(r)
	for _, own := range h.inst.own {
		switch m := own.Route(asked); m.Owner {
		case urlpath.Pass:
		case urlpath.PassPlain:
			identity.DropOverrides(r)
		default:
			h.inst.serve(own, w, r, m)
			return nil
		}
	}
	return h.inst.forward(w, r, next)
}

// forward passes a request on to the app: without identity unchanged, except for callers' tokens.
func (inst *instance) forward(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if inst.identity != nil {
		return inst.identity.ServeHTTP(w, r, next)
	}
	inst.tokenHeaders.Delete(r.Header)
	return next.ServeHTTP(w, r)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)

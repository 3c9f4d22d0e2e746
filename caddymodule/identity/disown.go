package identity

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// disown makes a request anonymous: it removes our headers, tokens, cookies and method overrides,
// and empties the placeholders. It works in place, since error routes share the header. Only the
// matcher still recognizes an impersonated session, so that restrictions continue to apply. refused
// means that nobody has been authenticated yet.
func (m *Middleware) disown(r *http.Request, who *identity, refused bool) {
	if !m.Shadow { // in shadow mode, these headers are not ours
		m.names.Delete(r.Header)
	}
	if m.AcceptCallers && (refused || who.isKnown() && !who.isOwn()) { // the token is that of another issuer
		if _, err := bearer.FromHeader(r.Header); err == nil {
			delete(r.Header, "Authorization")
		}
		forward.DropCookies(r, m.Issuer, m.Cookie, "", m.Cookie != "")
	}
	m.TokenHeaders.Delete(r.Header)
	forward.DropTokens(r.Header, m.Issuer)
	DropOverrides(r)
	gone := &identity{by: m, disowned: true}
	if who.isImpersonated() {
		gone.Who = who.Who
	}
	decide(r, gone)
}

// DropOverrides removes what could make an app take the request for one with another method, also
// from the URL that Caddy restores for error routes, and that PHP receives.
func DropOverrides(r *http.Request) {
	httpapi.DropOverrides(r)
	original := requestedURL(r)
	before := len(original.RawQuery)
	httpapi.DropOverrides(&http.Request{URL: original})
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && len(original.RawQuery) < before {
		repl.Set("http.request.orig_uri", original.RequestURI())
	}
}

// isHandled reports whether error routes handle the error: those of the server that match the request,
// or any that surround this handler (possible in JSON, and unknown to a handler). The site's error
// pages take precedence over ours.
func (m *Middleware) isHandled(r *http.Request, err error) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil {
		return true
	}
	around, known := m.routes.Load(server)
	if !known {
		around = handlesErrors(server.Routes)
		for _, route := range server.NamedRoutes {
			around = around.(bool) || handlesErrors(caddyhttp.RouteList{*route})
		}
		m.routes.Store(server, around)
	}
	if around.(bool) || server.Errors == nil {
		return around.(bool)
	}
	probe := server.Errors.WithError(r, err)
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok { // as Caddy restores it
		probe.Method, probe.URL = original.Method, original.URL
	}
	return matchesAny(server.Errors.Routes, probe)
}

// handlesErrors reports whether any of the routes handles errors.
func handlesErrors(routes caddyhttp.RouteList) bool {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); ok && (sub.Errors != nil || handlesErrors(sub.Routes)) {
				return true
			}
		}
	}
	return false
}

// matchesAny reports whether a route has a handler for the request, or may have.
func matchesAny(routes caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range routes {
		match, err := route.MatcherSets.AnyMatchWithError(r)
		if err != nil {
			return true
		}
		if !match {
			continue
		}
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); !ok || matchesAny(sub.Routes, r) {
				return true
			}
		}
		if route.Terminal {
			return false
		}
	}
	return false
}

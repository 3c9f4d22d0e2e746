package identity

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// disown makes a request nobody's: it has no header, token, cookie or method override of
// ours any more, and the placeholders are empty. In place, since error routes have
// the same header. Only the matcher still knows an impersonated session: what keeps one
// from something goes on to. refused: before who was decided, or after.
func (m *Middleware) disown(r *http.Request, who *identity, refused bool) {
	if !m.Shadow { // then those are others'
		m.names.Delete(r.Header)
	}
	if m.AcceptCallers && (refused || who.known() && !who.ours()) { // the token is another issuer's
		if _, err := bearer.FromHeader(r.Header); err == nil {
			delete(r.Header, "Authorization")
		}
		forward.DropCookies(r, m.Issuer, m.Cookie, "", m.Cookie != "")
	}
	m.TokenHeaders.Delete(r.Header)
	forward.DropTokens(r.Header, m.Issuer)
	DropOverrides(r)
	gone := &identity{by: m, disowned: true}
	if who.impersonated() {
		gone.Who = who.Who
	}
	decide(r, gone)
}

// DropOverrides removes what could make an app take the request for one of another method:
// from the URL too that Caddy puts back before error routes, and that PHP gets.
func DropOverrides(r *http.Request) {
	httpapi.DropOverrides(r)
	original := requested(r)
	before := len(original.RawQuery)
	httpapi.DropOverrides(&http.Request{URL: original})
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && len(original.RawQuery) < before {
		repl.Set("http.request.orig_uri", original.RequestURI())
	}
}

// caught reports whether error routes take the error: routes of the server's that match
// as they will, or any that stand around us (as JSON can have them, and nobody tells a
// handler). The site's words go before ours.
func (m *Middleware) caught(r *http.Request, err error) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil {
		return true
	}
	around, known := m.routes.Load(server)
	if !known {
		around = catch(server.Routes)
		for _, route := range server.NamedRoutes {
			around = around.(bool) || catch(caddyhttp.RouteList{*route})
		}
		m.routes.Store(server, around)
	}
	if around.(bool) || server.Errors == nil {
		return around.(bool)
	}
	probe := server.Errors.WithError(r, err)
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok { // as Caddy puts it back
		probe.Method, probe.URL = original.Method, original.URL
	}
	return take(server.Errors.Routes, probe)
}

// catch reports whether errors are caught somewhere in the routes.
func catch(routes caddyhttp.RouteList) bool {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); ok && (sub.Errors != nil || catch(sub.Routes)) {
				return true
			}
		}
	}
	return false
}

// take reports whether a route has a handler for the request, or cannot tell.
func take(routes caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range routes {
		match, err := route.MatcherSets.AnyMatchWithError(r)
		if err != nil {
			return true
		}
		if !match {
			continue
		}
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); !ok || take(sub.Routes, r) {
				return true
			}
		}
		if route.Terminal {
			return false
		}
	}
	return false
}

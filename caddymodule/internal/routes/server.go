package routes

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// serverOf returns the server that handles a request; nil if that is unknown.
func serverOf(r *http.Request) *caddyhttp.Server {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return server
}

// HasAccessLog reports whether the server of a request has an access log; an unknown one may have.
func HasAccessLog(r *http.Request) bool {
	server := serverOf(r)
	return server == nil || server.Logs != nil
}

// IsClaimedIP reports whether the client may have made up the address that Caddy determined: a
// trusted proxy appends the address it knows to X-Forwarded-For, and without trusted_proxies_strict
// Caddy uses the beginning, which the client may have sent.
func IsClaimedIP(r *http.Request) bool {
	server := serverOf(r)
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted && server != nil && server.TrustedProxiesStrict == 0 &&
		slices.ContainsFunc(server.ClientIPHeaders, func(name string) bool { return strings.EqualFold(name, "X-Forwarded-For") })
}

// ErrorRoutes remembers which servers have routes that handle the errors of others around them. The
// zero value is ready to use.
type ErrorRoutes struct{ around sync.Map }

// Handle reports whether error routes handle the error of a request: those of its server that match
// it, or any that surround the handler (possible in JSON, and unknown to a handler). An unknown
// server may have some.
func (e *ErrorRoutes) Handle(r *http.Request, err error) bool {
	server := serverOf(r)
	if server == nil {
		return true
	}
	around, known := e.around.Load(server)
	if !known {
		around = handlesErrors(server.Routes)
		for _, route := range server.NamedRoutes {
			around = around.(bool) || handlesErrors(caddyhttp.RouteList{*route})
		}
		e.around.Store(server, around)
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
func handlesErrors(list caddyhttp.RouteList) bool {
	for _, route := range list {
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); ok && (sub.Errors != nil || handlesErrors(sub.Routes)) {
				return true
			}
		}
	}
	return false
}

// matchesAny reports whether a route has a handler for the request, or may have.
func matchesAny(list caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range list {
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

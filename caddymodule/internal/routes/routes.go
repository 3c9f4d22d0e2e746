// Package routes examines the configured routes of Caddy's HTTP app, provisioned or not, and the
// server of a request.
package routes

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// Handlers returns the handlers of a route; nil stands for one that Caddy will refuse.
func Handlers(route *caddyhttp.Route) (all []any) {
	for _, handler := range route.Handlers {
		all = append(all, handler)
	}
	for _, raw := range route.HandlersRaw {
		var named struct {
			Handler string `json:"handler"`
		}
		if json.Unmarshal(raw, &named) == nil {
			all = append(all, decode("http.handlers."+named.Handler, raw))
		}
	}
	return all
}

// Matchers returns the matchers of a route; without matchers, it matches all requests.
func Matchers(route *caddyhttp.Route) caddyhttp.MatcherSets {
	sets := slices.Clone(route.MatcherSets)
	for _, raw := range route.MatcherSetsRaw {
		set := make(caddyhttp.MatcherSet, 0, len(raw))
		for name, config := range raw {
			set = append(set, decode("http.matchers."+name, config))
		}
		sets = append(sets, set)
	}
	return sets
}

// decode returns a module decoded from its configuration; nil if Caddy will refuse it.
func decode(id string, config json.RawMessage) any {
	info, err := caddy.GetModule(id)
	if err != nil {
		return nil
	}
	module := info.New()
	if json.Unmarshal(config, module) != nil {
		return nil
	}
	return module
}

// PassesThru reports whether a file server passes on requests that match no file. Its package is
// not imported: not every Caddy with this module includes it.
func PassesThru(server any) bool {
	var config struct {
		PassThru bool `json:"pass_thru"`
	}
	data, err := json.Marshal(server)
	return err == nil && json.Unmarshal(data, &config) == nil && config.PassThru
}

// RunsPHP reports whether a handler runs PHP: with FastCGI, or FrankenPHP in this process.
func RunsPHP(handler any) bool {
	proxy, ok := handler.(*reverseproxy.Handler)
	if !ok {
		return caddy.GetModuleName(handler) == "php"
	}
	var transport struct {
		Protocol string `json:"protocol"`
	}
	_ = json.Unmarshal(proxy.TransportRaw, &transport) // Caddy reports what is wrong with it
	return transport.Protocol == "fastcgi" || caddy.GetModuleName(proxy.Transport) == "fastcgi"
}

// RewritesToPHP reports whether a route rewrites requests that match no file to a PHP script, or
// refuses them, as php_fastcgi does unless it has no index.
func RewritesToPHP(sets caddyhttp.MatcherSets, handlers []any) bool {
	if !slices.ContainsFunc(handlers, func(handler any) bool { return caddy.GetModuleName(handler) == "rewrite" }) {
		return false
	}
	return slices.ContainsFunc(sets, func(set caddyhttp.MatcherSet) bool {
		return slices.ContainsFunc(set, func(matcher any) bool { return endsInPHP(matcher) })
	})
}

// endsInPHP reports whether the last file that a matcher tries is a PHP script, or a status. The
// package of the matcher is not imported either.
func endsInPHP(matcher any) bool {
	var config struct {
		TryFiles []string `json:"try_files"`
	}
	data, err := json.Marshal(matcher)
	if err != nil || json.Unmarshal(data, &config) != nil || len(config.TryFiles) == 0 {
		return false
	}
	last, _, _ := strings.Cut(config.TryFiles[len(config.TryFiles)-1], "?")
	return strings.HasSuffix(last, ".php") || strings.HasPrefix(last, "=")
}

// Excludes reports whether requests that a route matches skip the next ones: only one route of a
// group is taken.
func Excludes(route *caddyhttp.Route, next caddyhttp.RouteList) bool {
	return route.Group != "" && slices.ContainsFunc(next, func(other caddyhttp.Route) bool { return other.Group == route.Group })
}

// OnlyErrors reports whether a matcher matches only server errors.
func OnlyErrors(m *caddyhttp.ResponseMatcher) bool {
	return m != nil && len(m.StatusCode) > 0 && !slices.ContainsFunc(m.StatusCode, func(code int) bool { return code != 5 && code < 500 })
}

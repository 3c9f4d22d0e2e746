package caddymodule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"authsidecar/caddymodule/internal/routes"
)

// A place is where one of our handlers is in the configuration.
type place struct {
	*Handler
	server *caddyhttp.Server
	hosts  routes.Hosts // of the requests that arrive there
	taken  []string     // hosts of whose requests none arrives
	behind string       // the module before it that answers every request; "" if there is none
	hidden []string     // warnings of its paths at which the endpoints of a handler before it answer
}

// An upstreamRoute is a way for requests to get to an app.
type upstreamRoute struct {
	upstream string
	by       string       // the listeners of the server
	hosts    routes.Hosts // of the requests that take it
	guarded  *Handler     // the handler with identity before the app; nil if there is none
	partly   *Handler     // the same, for some of the requests
}

// A layout is where our handlers are in the HTTP app, and the ways to apps that bypass them.
type layout struct {
	places   []place
	warnings []string // about ways to an app that another way guards, and hidden endpoints
}

// findLayout returns the layout of the HTTP app. It returns an error for a handler that is never
// reached, and for realms that would share cookies. It is called when the first of our handlers is
// validated: some routes are provisioned then, and others are still JSON.
func findLayout(app *caddyhttp.App) (*layout, error) {
	var all []place
	var ways []upstreamRoute
	for _, server := range app.Servers {
		r := walker{server: server}
		r.routes(server.Routes)
		ways = append(ways, r.upstreams...)
		if server.Errors != nil { // that errors can lead to an app is documented
			r = walker{server: server, places: r.places}
			r.routes(server.Errors.Routes)
		}
		all = append(all, r.places...)
	}
	warnings := bypassWarnings(ways)
	for i := range all {
		p := &all[i]
		warnings = append(warnings, p.hidden...)
		if p.behind != "" {
			return nil, fmt.Errorf("auth_sessions %s is never reached: %s stands before it and answers every request; put auth_sessions first in its route, or in a handle of its own", p.Issuer, p.behind)
		}
		for j := range all[:i] {
			if name := all[i].conflict(&all[j]); name != "" {
				return nil, fmt.Errorf("auth_sessions %s and %s have cookies of one name on one host, %s: in one of them write another in browser { cookie <name> }", all[j].Issuer, all[i].Issuer, name)
			}
		}
	}
	return &layout{all, warnings}, nil
}

// bypassWarnings returns warnings about ways to an app without identity if another way has it.
func bypassWarnings(ways []upstreamRoute) (warnings []string) {
	for i := range ways {
		w := &ways[i]
		guard := w.partly
		for j := range ways {
			if ways[j].upstream == w.upstream {
				guard = cmp.Or(guard, ways[j].guarded)
			}
		}
		if w.guarded != nil || guard == nil {
			continue
		}
		hosts := "all hosts"
		if w.hosts != nil {
			hosts = cmp.Or(strings.Join(w.hosts, ", "), "some hosts") // "": it is unknown which, see routes.Hosts
		}
		text := fmt.Sprintf("requests for %s at %s can reach %s without the auth_sessions of %s, with whatever headers they come: put auth_sessions before that reverse_proxy too (exempt names paths that need no session), or remove the headers there, as in: request_header -X-Auth-*", hosts, w.by, w.upstream, guard.Issuer)
		if !slices.Contains(warnings, text) {
			warnings = append(warnings, text)
		}
	}
	return warnings
}

// serves reports whether requests to that host arrive at a handler of the issuer, as far as is
// known.
func (l *layout) serves(issuer, host string) bool {
	return len(l.places) == 0 || slices.ContainsFunc(l.places, func(p place) bool { return p.Issuer == issuer && p.hosts.Overlap(routes.Hosts{host}) })
}

// An answerer is a handler that answers every request for some hosts.
type answerer struct {
	module string
	hosts  routes.Hosts
}

// A walker walks through the handlers of a server, in the order in which requests reach them.
type walker struct {
	server    *caddyhttp.Server
	invoked   []string     // the named routes that contain the walk, since a route may invoke itself
	hosts     routes.Hosts // of the requests that get this far
	taken     []string     // hosts of whose requests none gets this far
	answered  []answerer   // so far
	guard     *Handler     // a handler with identity before everything that gets this far
	partly    *Handler     // the same, before some of it
	passed    []*Handler   // all handlers before everything that gets this far
	places    []place
	upstreams []upstreamRoute
}

// routes walks through a list of routes. A route answers or guards all requests of a host only if
// it matches all of them.
func (r *walker) routes(list caddyhttp.RouteList) {
	php := false // requests that match no file were rewritten, as by php_fastcgi
	var taken routes.Taken
	for i := range list {
		route := &list[i]
		sets, handlers := routes.Matchers(route), routes.Handlers(route)
		hosts, before, answered, guard, partly, passed := r.hosts, r.taken, len(r.answered), r.guard, r.partly, len(r.passed)
		r.hosts, r.taken = hosts.And(routes.HostsOf(sets)), slices.Concat(before, taken.Before(route))
		for _, handler := range handlers {
			r.visit(handler)
		}
		r.hosts, r.taken = hosts, before
		taken.Add(route, routes.UnconditionalHosts(sets, "*", "/*").And(hosts))
		every := []string{"*", "/*"}
		if php && slices.ContainsFunc(handlers, routes.RunsPHP) {
			every = append(every, "*.php")
		}
		php = php || routes.RewritesToPHP(sets, handlers)
		whole := routes.UnconditionalHosts(sets, every...)
		for at := answered; at < len(r.answered); at++ {
			r.answered[at].hosts = whole.And(r.answered[at].hosts)
		}
		if !hosts.Within(whole) {
			if r.passed = r.passed[:passed]; r.guard != guard {
				r.guard, r.partly = guard, r.guard
			}
		}
		if route.Terminal || routes.Excludes(route, list[i+1:]) {
			r.partly = partly
		}
	}
}

// visit records what a handler answers, and walks through the routes inside it.
func (r *walker) visit(handler any) {
	switch handler := handler.(type) {
	case *caddyhttp.Subroute:
		r.routes(handler.Routes)
	case *caddyhttp.Invoke:
		r.invoke(handler.Name)
	case *Handler:
		if handler.app != nil || handler.Resolve() == nil { // its own validation reports what is wrong with it
			r.places = append(r.places, place{handler, r.server, r.hosts, r.taken, r.answerer(0), r.hidden(handler)})
			r.passed = append(r.passed, handler)
		}
		if handler.Identity != nil && !handler.Identity.Shadow {
			r.guard = handler
		}
	case *reverseproxy.Handler:
		r.proxy(handler)
	case *reverseproxy.CopyResponseHandler:
		r.answer("copy_response")
	case *caddyhttp.StaticResponse:
		if handler.StatusCode != "103" { // early hints are not a response
			r.answer("respond")
		}
	case *caddyhttp.StaticError:
		r.answer("error")
	default:
		if name := caddy.GetModuleName(handler); name == "php" || name == "file_server" && !routes.PassesThru(handler) {
			r.answer(name)
		}
	}
}

// hidden returns a warning for each path of the handler's endpoints at which those of a handler that
// everything passed before answer.
func (r *walker) hidden(handler *Handler) (warnings []string) {
	warn := func(path, mend string) {
		at := slices.IndexFunc(r.passed, func(before *Handler) bool { return before.answersAt(path) })
		if at >= 0 {
			warnings = append(warnings, fmt.Sprintf("auth_sessions %s has its endpoints at %s, where those of %s before it answer: give one of them another path, as in: %s", handler.Issuer, path, r.passed[at].Issuer, mend))
		}
	}
	warn(handler.Path, "path /other/sessions")
	if handler.OAuth != nil {
		warn(handler.OAuth.Path, "oauth { path /other/oauth }")
	}
	return warnings
}

// answer records that everything that gets this far is answered here.
func (r *walker) answer(module string) { r.answered = append(r.answered, answerer{module, r.hosts}) }

// answerer returns the module that answered everything that got this far, of those from an index on;
// "" if there is none.
func (r *walker) answerer(from int) string {
	for _, a := range r.answered[from:] {
		if r.hosts.Within(a.hosts) {
			return a.module
		}
	}
	return ""
}

// proxy records the ways to the upstreams of a proxy, and what it answers.
func (r *walker) proxy(handler *reverseproxy.Handler) {
	name := "php_fastcgi"
	if !routes.RunsPHP(handler) { // FastCGI serves many apps at one address
		name = "reverse_proxy"
		for _, upstream := range handler.Upstreams {
			r.upstreams = append(r.upstreams, upstreamRoute{upstream.Dial, strings.Join(r.server.Listen, ", "), r.hosts, r.guard, r.partly})
		}
	}
	if !r.responses(handler.HandleResponse) {
		r.answer(name)
	}
}

// invoke walks through a named route.
func (r *walker) invoke(name string) {
	route, ok := r.server.NamedRoutes[name]
	if !ok || slices.Contains(r.invoked, name) {
		return
	}
	r.invoked = append(r.invoked, name)
	r.routes(caddyhttp.RouteList{*route})
	r.invoked = r.invoked[:len(r.invoked)-1]
}

// responses walks through the routes that handle some of a proxy's responses, and reports whether
// requests continue after one of them, as with forward_auth. That does not apply to routes for
// server errors.
func (r *walker) responses(list []caddyhttp.ResponseHandler) (goOn bool) {
	before, guard, passed := len(r.answered), r.guard, len(r.passed)
	for i := range list {
		r.routes(list[i].Routes)
		goOn = goOn || list[i].StatusCode == "" && r.answerer(before) == "" && !routes.OnlyErrors(list[i].Match)
		r.answered, r.guard, r.passed = r.answered[:before], guard, r.passed[:passed]
	}
	return goOn
}

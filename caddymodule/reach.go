package caddymodule

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// checkReach refuses a configuration in which what answers every request stands before a handler
// of ours: as in a route, which keeps the order of the Caddyfile. The app would be open to all. So it
// does one that checkCookies refuses.
func checkReach(ctx caddy.Context) error {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil //nolint:nilerr // without sites there is nothing to reach
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		if err := checkCookies(server.Routes); err != nil {
			return err
		}
		r := reach{named: server.NamedRoutes}
		if r.routes(server.Routes); r.hidden != nil {
			return fmt.Errorf("auth_sessions %s is never reached: %s stands before it and answers every request; put auth_sessions first in its route, or in a handle of its own", r.hidden.Issuer, r.by)
		}
	}
	return nil
}

// A reach is a walk through the handlers of a server, in the order in which requests meet them.
type reach struct {
	named    map[string]*caddyhttp.Route
	invoked  []string // the named routes that the walk is in: one may invoke itself
	answered string   // the module that answers whatever comes this far; "" where none does
	hidden   *Handler // the first of ours behind one
	by       string   // that one
}

// routes walks through a list of routes. What a route answers is all only if it is for all.
func (r *reach) routes(list caddyhttp.RouteList) {
	for i := range list {
		route, before := &list[i], r.answered
		for _, handler := range route.Handlers {
			r.meet(handler)
		}
		if len(route.MatcherSets) > 0 {
			r.answered = before
		}
	}
}

func (r *reach) invoke(name string) {
	route, ok := r.named[name]
	if !ok || slices.Contains(r.invoked, name) {
		return
	}
	r.invoked = append(r.invoked, name)
	r.routes(caddyhttp.RouteList{*route})
	r.invoked = r.invoked[:len(r.invoked)-1]
}

func (r *reach) meet(handler caddyhttp.MiddlewareHandler) {
	switch handler := handler.(type) {
	case *caddyhttp.Subroute:
		r.routes(handler.Routes)
	case *caddyhttp.Invoke:
		r.invoke(handler.Name)
	case *Handler:
		if r.answered != "" && r.hidden == nil {
			r.hidden, r.by = handler, r.answered
		}
	case *reverseproxy.Handler: // forward_auth goes on after some answers
		if len(handler.HandleResponse) == 0 {
			r.answered = "reverse_proxy"
		}
	case *caddyhttp.StaticResponse:
		if handler.StatusCode != "103" { // early hints are no answer
			r.answered = "respond"
		}
	case *caddyhttp.StaticError:
		r.answered = "error"
	}
}

// A keeper is a handler that keeps sessions in cookies, and the hosts that it is for; none are all.
type keeper struct {
	hosts []string
	*Handler
}

// checkCookies refuses two realms of one host whose cookies have the same names: each would take the
// other's for those of a session that is over, and take them from the browser.
func checkCookies(routes caddyhttp.RouteList) error {
	var all []keeper
	for i := range routes {
		hosts := hostsOf(routes[i].MatcherSets)
		eachHandler(&routes[i], func(h *Handler) {
			if h.Browser != nil {
				all = append(all, keeper{hosts, h})
			}
		})
	}
	for i := range all {
		for _, other := range all[:i] {
			if name := all[i].clashes(&other); name != "" {
				return fmt.Errorf("auth_sessions %s and %s have cookies of one name on one host, %s: in one of them write another in browser { cookie <name> }", other.Issuer, all[i].Issuer, name)
			}
		}
	}
	return nil
}

// clashes returns the name of a cookie that another realm has on one of the hosts, too; "" for none.
func (k *keeper) clashes(other *keeper) string {
	apart := len(k.hosts) > 0 && len(other.hosts) > 0 && !slices.ContainsFunc(k.hosts, func(host string) bool { return slices.Contains(other.hosts, host) })
	if apart || k.Issuer == other.Issuer {
		return ""
	}
	names := other.Jar().Names()
	for _, name := range k.Jar().Names() {
		if slices.Contains(names, name) {
			return name
		}
	}
	return ""
}

// hostsOf returns the hosts that a route is for; none are all.
func hostsOf(sets caddyhttp.MatcherSets) (hosts []string) {
	for _, set := range sets {
		at := slices.IndexFunc(set, func(m any) bool { _, ok := m.(*caddyhttp.MatchHost); return ok })
		if at < 0 {
			return nil
		}
		hosts = append(hosts, *set[at].(*caddyhttp.MatchHost)...)
	}
	return hosts
}

// eachHandler calls do with the handlers of ours in a route, and below.
func eachHandler(route *caddyhttp.Route, do func(*Handler)) {
	for _, handler := range route.Handlers {
		switch handler := handler.(type) {
		case *caddyhttp.Subroute:
			for i := range handler.Routes {
				eachHandler(&handler.Routes[i], do)
			}
		case *Handler:
			do(handler)
		}
	}
}

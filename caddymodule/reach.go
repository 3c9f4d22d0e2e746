package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/certmagic"
)

// A place is where one of our handlers stands.
type place struct {
	*Handler
	server *caddyhttp.Server
	hosts  []string // whose requests come there; nil: those of all
	behind string   // the module before it that answers every request; "" where none does
}

// findPlaces returns where our handlers stand in the HTTP app, and refuses an app that would be open
// to all, and realms that would share cookies. It is called when the first of them is validated:
// some routes are provisioned then, and others are still JSON.
func findPlaces(app *caddyhttp.App) (all []place, err error) {
	for _, server := range app.Servers {
		lists := []caddyhttp.RouteList{server.Routes}
		if server.Errors != nil {
			lists = append(lists, server.Errors.Routes)
		}
		for _, list := range lists {
			r := reach{server: server}
			r.routes(list)
			all = append(all, r.places...)
		}
	}
	for i := range all {
		if p := &all[i]; p.behind != "" {
			return nil, fmt.Errorf("auth_sessions %s is never reached: %s stands before it and answers every request; put auth_sessions first in its route, or in a handle of its own", p.Issuer, p.behind)
		}
		for j := range all[:i] {
			if name := all[i].clashes(&all[j]); name != "" {
				return nil, fmt.Errorf("auth_sessions %s and %s have cookies of one name on one host, %s: in one of them write another in browser { cookie <name> }", all[j].Issuer, all[i].Issuer, name)
			}
		}
	}
	return all, nil
}

// clashes returns the name of a cookie that another realm also sets on one of the hosts; "" for none.
// Each realm would take the other's cookie for that of an expired session, and remove it.
func (p *place) clashes(other *place) string {
	if p.Browser == nil || other.Browser == nil || p.Issuer == other.Issuer {
		return ""
	}
	ours, theirs := p.hosts, other.hosts
	if p.server != other.server { // cookies know no ports; where no host is named, those of the issuer tell
		ours, theirs = p.cookieHosts(), other.cookieHosts()
	}
	if !overlap(ours, theirs) {
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
func (p *place) cookieHosts() []string {
	if p.hosts != nil {
		return p.hosts
	}
	return p.CookieHosts()
}

// serves reports whether requests to that host come to a handler of the issuer.
func serves(places []place, issuer, host string) bool {
	return slices.ContainsFunc(places, func(p place) bool { return p.Issuer == issuer && overlap(p.hosts, []string{host}) })
}

// A reach is a walk through the handlers of a server, in the order in which requests meet them.
type reach struct {
	server   *caddyhttp.Server
	invoked  []string // the named routes that the walk is in: one may invoke itself
	hosts    []string // whose requests come this far; nil: those of all
	answered string   // the module that answers whatever comes this far; "" where none does
	places   []place
}

// routes walks through a list of routes. A route answers every request only if it matches every one.
func (r *reach) routes(list caddyhttp.RouteList) {
	for i := range list {
		hosts, before, sets := r.hosts, r.answered, matchersOf(&list[i])
		r.hosts = both(hosts, hostsOf(sets))
		for _, handler := range handlersOf(&list[i]) {
			r.meet(handler)
		}
		r.hosts = hosts
		if len(sets) > 0 && !slices.ContainsFunc(sets, matchesAll) {
			r.answered = before
		}
	}
}

// meet notes what a handler answers, and goes on inside it.
func (r *reach) meet(handler any) {
	switch handler := handler.(type) {
	case *caddyhttp.Subroute:
		r.routes(handler.Routes)
	case *caddyhttp.Invoke:
		r.invoke(handler.Name)
	case *Handler:
		if handler.app != nil || handler.Resolve() == nil { // what is wrong with it is found when its turn comes
			r.places = append(r.places, place{handler, r.server, r.hosts, r.answered})
		}
	case *reverseproxy.Handler:
		if !r.responses(handler.HandleResponse) {
			r.answered = "reverse_proxy"
		}
	case *reverseproxy.CopyResponseHandler:
		r.answered = "copy_response"
	case *caddyhttp.StaticResponse:
		if handler.StatusCode != "103" { // early hints are no answer
			r.answered = "respond"
		}
	case *caddyhttp.StaticError:
		r.answered = "error"
	default:
		if caddy.GetModuleName(handler) == "file_server" && !passesThru(handler) {
			r.answered = "file_server"
		}
	}
}

// passesThru reports whether a file server passes on requests for which it has no file. Its package
// is not imported: not every Caddy with this module includes it.
func passesThru(server any) bool {
	var config struct {
		PassThru bool `json:"pass_thru"`
	}
	data, err := json.Marshal(server)
	return err == nil && json.Unmarshal(data, &config) == nil && config.PassThru
}

// invoke goes on inside a named route.
func (r *reach) invoke(name string) {
	route, ok := r.server.NamedRoutes[name]
	if !ok || slices.Contains(r.invoked, name) {
		return
	}
	r.invoked = append(r.invoked, name)
	r.routes(caddyhttp.RouteList{*route})
	r.invoked = r.invoked[:len(r.invoked)-1]
}

// responses walks through the routes that handle some of a proxy's responses, and reports whether
// requests go on after one of them, as with forward_auth.
func (r *reach) responses(list []caddyhttp.ResponseHandler) (goOn bool) {
	before := r.answered
	for i := range list {
		r.routes(list[i].Routes)
		goOn = goOn || list[i].StatusCode == "" && r.answered == before
		r.answered = before
	}
	return goOn
}

// handlersOf returns the handlers of a route, whether or not it is provisioned.
func handlersOf(route *caddyhttp.Route) (all []any) {
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

// matchersOf returns the matchers of a route, whether or not it is provisioned.
func matchersOf(route *caddyhttp.Route) caddyhttp.MatcherSets {
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

// decode returns a module as it is configured; nil where Caddy will refuse it.
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

// matchesAll reports whether a set of matchers only asks for any path.
func matchesAll(set caddyhttp.MatcherSet) bool {
	for _, matcher := range set {
		path, ok := matcher.(*caddyhttp.MatchPath)
		if !ok || !slices.Contains(*path, "/*") && !slices.Contains(*path, "*") {
			return false
		}
	}
	return true
}

// hostsOf returns the hosts that a route is for; nil: all.
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

// both returns the hosts that are in both lists; a nil list is that of all hosts.
func both(a, b []string) []string {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	hosts := []string{}
	for _, one := range a {
		for _, other := range b {
			switch {
			case certmagic.MatchWildcard(one, other):
				hosts = append(hosts, one)
			case certmagic.MatchWildcard(other, one):
				hosts = append(hosts, other)
			}
		}
	}
	return hosts
}

func overlap(a, b []string) bool {
	hosts := both(a, b)
	return hosts == nil || len(hosts) > 0
}

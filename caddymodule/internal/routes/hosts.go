package routes

import (
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
)

// Hosts are hosts of requests, possibly with wildcards; nil means all.
type Hosts []string

// HostsOf returns the hosts that the matchers of a route require.
func HostsOf(sets caddyhttp.MatcherSets) (hosts Hosts) {
	for _, set := range sets {
		at := slices.IndexFunc(set, func(m any) bool { _, ok := m.(*caddyhttp.MatchHost); return ok })
		if at < 0 {
			return nil
		}
		hosts = append(hosts, *set[at].(*caddyhttp.MatchHost)...)
	}
	return hosts
}

// UnconditionalHosts returns the hosts for which all requests match: those of matcher sets that
// require nothing but a host, or a path of one of the patterns.
func UnconditionalHosts(sets caddyhttp.MatcherSets, patterns ...string) Hosts {
	if len(sets) == 0 {
		return nil
	}
	hosts := Hosts{}
	for _, set := range sets {
		if slices.ContainsFunc(set, func(matcher any) bool { return requiresMore(matcher, patterns) }) {
			continue
		}
		of := HostsOf(caddyhttp.MatcherSets{set})
		if of == nil {
			return nil
		}
		hosts = append(hosts, of...)
	}
	return hosts
}

// requiresMore reports whether a matcher requires more than a host, or a path of one of the
// patterns.
func requiresMore(matcher any, patterns []string) bool {
	switch matcher := matcher.(type) {
	case *caddyhttp.MatchHost:
		return false
	case *caddyhttp.MatchPath:
		return !slices.ContainsFunc(*matcher, func(p string) bool { return slices.Contains(patterns, p) })
	default:
		return true
	}
}

// And returns the hosts that are in both.
func (h Hosts) And(other Hosts) Hosts {
	if h == nil {
		return other
	}
	if other == nil {
		return h
	}
	both := Hosts{}
	for _, a := range h {
		for _, b := range other {
			switch {
			case certmagic.MatchWildcard(a, b):
				both = append(both, a)
			case certmagic.MatchWildcard(b, a):
				both = append(both, b)
			}
		}
	}
	return both
}

// Overlap reports whether a host is in both.
func (h Hosts) Overlap(other Hosts) bool {
	both := h.And(other)
	return both == nil || len(both) > 0
}

// Within reports whether each of the hosts is among others. If there are none, it is unknown: a
// placeholder may stand for any host.
func (h Hosts) Within(others Hosts) bool {
	if others == nil {
		return true
	}
	return len(h) > 0 && len(h.Without(others)) == 0
}

// Without returns the hosts that are not among others.
func (h Hosts) Without(others []string) Hosts {
	return slices.DeleteFunc(slices.Clone(h), func(host string) bool {
		return slices.ContainsFunc(others, func(other string) bool { return certmagic.MatchWildcard(host, other) })
	})
}

// Taken are the hosts whose requests the routes of a list take, so that later routes get none: those
// that are terminal, and for the rest of their group those that have one.
type Taken struct {
	hosts  []string
	groups map[string][]string
}

// Add adds a route that takes all requests for these hosts.
func (t *Taken) Add(route *caddyhttp.Route, hosts Hosts) {
	switch {
	case route.Terminal:
		t.hosts = append(t.hosts, hosts...)
	case route.Group != "":
		if t.groups == nil {
			t.groups = make(map[string][]string)
		}
		t.groups[route.Group] = append(t.groups[route.Group], hosts...)
	}
}

// Before returns the hosts that the routes before one have taken.
func (t *Taken) Before(route *caddyhttp.Route) []string {
	return slices.Concat(t.hosts, t.groups[route.Group])
}

package caddymodule_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/internal/routes"
)

// Of a route whose matchers are alternatives only those hosts are whole that one of them asks for alone.
func TestWhole_IsWhatAMatcherAsksForAlone(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]routes.Hosts{
		`[]`:                                 nil,
		`[{"path":["/*"]}]`:                  nil,
		`[{"path":["/x","*"]}]`:              nil,
		`[{"path":["/x"]}]`:                  {},
		`[{"method":["GET"]}]`:               {},
		`[{"unknown":{}}]`:                   {},
		`[{"host":["a"]}]`:                   {"a"},
		`[{"host":["a","b"],"path":["/*"]}]`: {"a", "b"},
		`[{"host":["a"],"path":["/x"]}]`:     {},
		`[{"host":["a"]},{"path":["/x"]}]`:   {"a"},
		`[{"host":["a"]},{"path":["/*"]}]`:   nil,
		`[{"host":["a"],"not":[{}]}]`:        {},
		`[{"host":["a"]},{"host":["b"],"path":["/x"]},{"host":["c"]}]`: {"a", "c"},
	} {
		var route caddyhttp.Route
		if err := json.Unmarshal([]byte(`{"match":`+config+`}`), &route); err != nil {
			t.Fatal(err)
		}
		if got := routes.UnconditionalHosts(routes.Matchers(&route), "*", "/*"); (got == nil) != (want == nil) || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", config, got, want)
		}
	}
}

// What no host is known of is not within anything but all.
func TestHosts_Within(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hosts, others routes.Hosts
		want          bool
	}{
		{nil, nil, true},
		{nil, routes.Hosts{"a"}, false},
		{routes.Hosts{"a"}, nil, true},
		{routes.Hosts{}, routes.Hosts{"a"}, false},
		{routes.Hosts{"a"}, routes.Hosts{}, false},
		{routes.Hosts{"a.example"}, routes.Hosts{"*.example"}, true},
		{routes.Hosts{"*.example"}, routes.Hosts{"a.example"}, false},
		{routes.Hosts{"a", "b"}, routes.Hosts{"b"}, false},
		{routes.Hosts{"a", "b"}, routes.Hosts{"b", "a"}, true},
	} {
		if got := test.hosts.Within(test.others); got != test.want {
			t.Errorf("%v within %v: %t", test.hosts, test.others, got)
		}
	}
}

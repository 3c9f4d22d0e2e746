package openapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"authsidecar/caddymodule/openapi"
)

func TestOf_HasWhatTheSiteServes(t *testing.T) {
	tests := map[string]struct {
		site openapi.Site
		want []string
	}{
		"a bare block": {openapi.Site{Path: "/auth/sessions"}, []string{"/auth/sessions post", "/auth/sessions/openapi.json get", "/auth/sessions/openapi.json head"}},
		"its own paths": {
			openapi.Site{Path: "/a", Health: "/up", Keys: true},
			[]string{"/a post", "/a/jwks.json get", "/a/jwks.json head", "/a/openapi.json get", "/a/openapi.json head", "/up get", "/up head"},
		},
		"OAuth of an issuer with a path": {
			openapi.Site{Path: "/a", OAuth: "/o", Discovery: true, Issuer: "/t"},
			[]string{
				"/.well-known/oauth-authorization-server/t get", "/.well-known/oauth-authorization-server/t head", "/a post", "/a/openapi.json get", "/a/openapi.json head",
				"/o/introspect post", "/o/revoke post", "/o/token post", "/t/.well-known/openid-configuration get", "/t/.well-known/openid-configuration head",
			},
		},
		"what identity providers say": {openapi.Site{Path: "/a", Logout: true, Events: true}, []string{
			"/a post", "/a/backchannel-logout post", "/a/events post", "/a/openapi.json get", "/a/openapi.json head",
		}},
		"people who sign in": {openapi.Site{Path: "/a", SignIn: true}, []string{
			"/a post", "/a/openapi.json get", "/a/openapi.json head", "/a/sign-in get", "/a/sign-in/callback get",
		}},
		"a whole life": {openapi.Site{Path: "/a", Lifecycle: true}, []string{
			"/a delete", "/a get", "/a post", "/a/current delete", "/a/current get", "/a/current/refresh post", "/a/openapi.json get", "/a/openapi.json head", "/a/{id} delete", "/a/{id} get",
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := openapi.Of(tc.site)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Servers []struct{ URL string }
				Paths   map[string]map[string]any
			}
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			var operations []string
			for path, item := range got.Paths {
				for method := range item {
					if method != "parameters" {
						operations = append(operations, path+" "+method)
					}
				}
			}
			slices.Sort(operations)
			if !slices.Equal(operations, tc.want) {
				t.Errorf("%q", operations)
			}
			if len(got.Servers) != 1 || got.Servers[0].URL != "/" {
				t.Errorf("servers %v", slices.Collect(maps.Keys(got.Paths)))
			}
		})
	}
}

package oauthapi

import (
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/urlpath"
)

func get(t *testing.T, a *API, path string) answer {
	t.Helper()
	f := &fixture{t: t, api: a}
	return f.send(httptest.NewRequest("GET", path, nil))
}

// Covers O8.
func TestMetadata_SaysWhatIsTrue(t *testing.T) {
	f := newFixture(t)
	got := get(t, f.api, "/.well-known/oauth-authorization-server")
	want := map[string]any{
		"issuer": issuer, "jwks_uri": issuer + "/auth/sessions/jwks.json",
		"id_token_signing_alg_values_supported": []any{"ES256"}, "subject_types_supported": []any{"public"},
		"grant_types_supported":  []any{"refresh_token", grantExchange},
		"token_endpoint":         issuer + "/oauth/token",
		"revocation_endpoint":    issuer + "/oauth/revoke",
		"introspection_endpoint": issuer + "/oauth/introspect",
	}
	algorithms := []any{}
	for _, alg := range jose.Asymmetric() {
		algorithms = append(algorithms, string(alg))
	}
	confidential := []any{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	for _, name := range []string{"token", "revocation", "introspection"} {
		want[name+"_endpoint_auth_methods_supported"] = append([]any{"none"}, confidential...)
		want[name+"_endpoint_auth_signing_alg_values_supported"] = algorithms
	}
	want["introspection_endpoint_auth_methods_supported"] = confidential
	if !reflect.DeepEqual(got.fields, want) {
		t.Errorf("%v\nwant %v", got.fields, want)
	}
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if oidc := get(t, f.api, "/.well-known/openid-configuration"); oidc.body != got.body {
		t.Errorf("%s", oidc.body)
	}
	head := f.send(httptest.NewRequest("HEAD", "/.well-known/openid-configuration", nil))
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != got.header.Get("Content-Length") {
		t.Errorf("HEAD: %d %v %q", head.status, head.header, head.body)
	}
	post := f.send(formRequest("/.well-known/openid-configuration", ""))
	if post.status != 405 || post.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", post.status, post.header)
	}
}

// Covers O8.
func TestMetadata_IsAtBothSpellingsOfAnIssuerWithAPath(t *testing.T) {
	for name, paths := range map[string][]string{
		"":       {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		"/":      {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		"/a/b":   {"/.well-known/oauth-authorization-server/a/b", "/.well-known/openid-configuration/a/b", "/a/b/.well-known/openid-configuration", "/a/b/.well-known/oauth-authorization-server"},
		"/a%20b": {"/.well-known/oauth-authorization-server/a%20b", "/a%20b/.well-known/openid-configuration"},
	} {
		api, err := New(Config{Issuer: issuer + name, KeysPath: "/auth/sessions/jwks.json", Keys: func() []*jose.Key { return nil }, MaxAge: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			got := get(t, api, path)
			if got.text("issuer") != issuer+name || got.text("jwks_uri") != issuer+"/auth/sessions/jwks.json" {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
		if name != "" && name != "/" {
			if match := api.Route(httptest.NewRequest("GET", "/.well-known/openid-configuration", nil)); match.Owner != urlpath.Pass {
				t.Errorf("%s: the root's document is ours", name)
			}
		}
	}
}

// Covers O8.
func TestMetadata_WithoutEndpointsNamesNoneAndNoEmptyLists(t *testing.T) {
	f := newFixture(t)
	keys := f.api.Keys()
	api, err := New(Config{Issuer: issuer, KeysPath: "/keys", Keys: func() []*jose.Key { return keys }})
	if err != nil {
		t.Fatal(err)
	}
	got := get(t, api, "/.well-known/openid-configuration")
	if len(got.fields) != 4 || strings.Contains(got.body, "endpoint") || strings.Contains(got.body, "[]") {
		t.Errorf("%s", got.body)
	}
	for _, path := range []string{"/oauth/token", "/token", "/"} {
		if api.Route(formRequest(path, "")).Owner != urlpath.Pass {
			t.Errorf("%s is ours", path)
		}
	}
	// Where all clients are public there is nobody who may introspect.
	public, err := New(Config{Issuer: issuer, Path: "/oauth", Keys: func() []*jose.Key { return nil }, Clients: []Client{{ID: "app", Public: true}}})
	if err != nil {
		t.Fatal(err)
	}
	got = get(t, public, "/.well-known/oauth-authorization-server")
	if got.fields["introspection_endpoint"] != nil || !slices.Equal(got.fields["token_endpoint_auth_methods_supported"].([]any), []any{"none"}) || strings.Contains(got.body, "[]") || strings.Contains(got.body, "signing_alg") {
		t.Errorf("%s", got.body)
	}
}

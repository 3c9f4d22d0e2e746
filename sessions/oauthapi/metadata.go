package oauthapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
)

// A document is the metadata of an authorization server (RFC 8414 section 2), with some members of
// OpenID Connect Discovery 1.0 section 3. It contains only what is true: there is no authorization
// endpoint, and no response types, a list that must not be empty.
type document struct {
	Issuer string `json:"issuer"`
	Keys   string `json:"jwks_uri"`
	// Algorithms are those of access tokens; verifying libraries read them here.
	Algorithms   []jose.Algorithm `json:"id_token_signing_alg_values_supported,omitempty"`
	SubjectTypes []string         `json:"subject_types_supported"`

	Token             string           `json:"token_endpoint,omitempty"`
	TokenMethods      []string         `json:"token_endpoint_auth_methods_supported,omitempty"`
	TokenAlgorithms   []jose.Algorithm `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	GrantTypes        []string         `json:"grant_types_supported,omitempty"`
	Revoke            string           `json:"revocation_endpoint,omitempty"`
	RevokeMethods     []string         `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	RevokeAlgorithms  []jose.Algorithm `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	Inspect           string           `json:"introspection_endpoint,omitempty"`
	InspectMethods    []string         `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	InspectAlgorithms []jose.Algorithm `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
}

// Documents returns the paths of the documents for an issuer with that path: the well-known name
// before it (RFC 8414 section 3.1), or after it (OpenID Connect Discovery 1.0 section 4.1; RFC 8414
// section 5).
func Documents(issuer string) []string {
	var paths []string
	for _, name := range [...]string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		paths = append(paths, name+issuer)
		if issuer != "" {
			paths = append(paths, issuer+name)
		}
	}
	return paths
}

// metadata answers GET and HEAD of the documents.
func (a *API) metadata(w http.ResponseWriter, r *http.Request) error {
	defer endpoint.LeaveBody(w, r)()
	data, err := json.Marshal(a.document())
	if err != nil {
		return fmt.Errorf("writing metadata: %w", err)
	}
	endpoint.Publish(w, r, "application/json", a.MaxAge, data)
	return nil
}

// document returns the current document: the keys may change.
func (a *API) document() *document {
	d := &document{Issuer: a.Issuer, Keys: a.origin + a.KeysPath, SubjectTypes: []string{"public"}}
	for _, key := range a.Keys() {
		if !slices.Contains(d.Algorithms, key.Algorithm()) {
			d.Algorithms = append(d.Algorithms, key.Algorithm())
		}
	}
	if a.Path == "" {
		return d
	}
	public, methods, algorithms := a.clients.methods()
	all := append(public, methods...)
	d.GrantTypes = []string{grantRefresh, grantExchange}
	d.Token, d.TokenMethods, d.TokenAlgorithms = a.url("/token"), all, algorithms
	d.Revoke, d.RevokeMethods, d.RevokeAlgorithms = a.url("/revoke"), all, algorithms
	if len(methods) > 0 { // otherwise no client may ask
		d.Inspect, d.InspectMethods, d.InspectAlgorithms = a.url("/introspect"), methods, algorithms
	}
	return d
}

// methods returns how public and confidential clients authenticate (RFC 7591 section 2), and with
// which algorithms.
func (all *clients) methods() (public, confidential []string, algorithms []jose.Algorithm) {
	var secrets, keys bool
	for _, c := range all.known {
		switch {
		case c.Public:
			public = []string{"none"}
		case c.Keys != nil:
			keys = true
		default:
			secrets = true
		}
	}
	if secrets {
		confidential = append(confidential, "client_secret_basic", "client_secret_post")
	}
	if keys {
		confidential = append(confidential, "private_key_jwt")
		algorithms = jose.Asymmetric()
	}
	return public, confidential, algorithms
}

package config_test

import (
	"slices"
	"testing"

	"authsidecar/caddymodule/config"
)

// Who looks for an actor can name each issuer that sessions can be of: all names of the trusted ones, and
// the tenants that may act.
func TestActorIssuers_AreAllNamesAndTheTenantsOfRules(t *testing.T) {
	t.Parallel()
	b := &config.Block{
		Trust: []*config.Trust{
			{Issuer: "https://idp.example.com", Issuers: []string{"idp.example.com", "https://login.example.com/*/v2.0"}},
			{Issuer: "https://other.example.com"},
		},
		Allow: []*config.Rule{{Self: true}, {From: "https://login.example.com/a/v2.0"}, {From: "https://other.example.com"}, {From: "https://login.example.com/a/v2.0"}},
	}
	want := []string{"https://idp.example.com", "idp.example.com", "https://other.example.com", "https://login.example.com/a/v2.0"}
	if got := b.ActorIssuers(); !slices.Equal(got, want) {
		t.Error(got)
	}
}

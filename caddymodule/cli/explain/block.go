package explain

import (
	"context"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/logoutapi"
)

// A Block is an auth_sessions block, as far as the fate of a token depends on it.
type Block struct {
	Issuer string        // of the tokens it mints
	Own    bearer.Issuer // accepts our own access tokens; without Keys
	// OwnKeys returns the keys of these, and says where they are from; nil where there are none.
	OwnKeys func() (keys bearer.KeySource, from string)
	Trusted []Trusted // in the order of the configuration
	Policy  *sessions.Policy
	Clients map[string]bool // OAuth clients
	// Listeners are the issuers that say what is over there, at endpoints below Path.
	Listeners map[string]*logoutapi.Listener
	Path      string
}

// Trusted is an issuer that a block trusts.
type Trusted struct {
	bearer.Issuer
	// Accepts says which keys it may have.
	Accepts jose.KeyPolicy
	// Algorithms are those that the configuration names, of keys and secret; none for the default.
	Algorithms []string
	// OnlyNames are the conditions of Only, as a Caddyfile writes them.
	OnlyNames []string
	// Load reads the keys that are remembered of it, where Keys is a bearer.Remote.
	Load func(context.Context)
}

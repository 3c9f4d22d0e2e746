package explain

import (
	"context"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/logoutapi"
)

// A Block is the part of an auth_sessions block that decides what happens to a token.
type Block struct {
	Issuer string        // our issuer
	Own    bearer.Issuer // for our own access tokens; without Keys
	// OwnKeys returns the keys of our access tokens, and where they are from; nil if there are
	// none.
	OwnKeys func() (keys bearer.KeySource, from string)
	Trusted []Trusted // in the order of the configuration
	Policy  *sessions.Policy
	Clients map[string]bool // OAuth clients
	// Listeners are the issuers that report logouts and events, at endpoints below Path.
	Listeners map[string]*logoutapi.Listener
	Path      string
}

// Trusted is an issuer that a block trusts.
type Trusted struct {
	bearer.Issuer
	// Accepts says which keys are accepted.
	Accepts jose.KeyPolicy
	// Algorithms are the configured algorithms of keys and secret; empty for the default.
	Algorithms []string
	// OnlyNames are the conditions of Only in the form of a Caddyfile.
	OnlyNames []string
	// Load loads the saved keys, if Keys is a bearer.Remote.
	Load func(context.Context)
}

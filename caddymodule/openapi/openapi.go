package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML describes every endpoint, at the paths of the defaults.
//
//go:embed openapi.yaml
var YAML []byte

// A Site is what a block serves.
type Site struct {
	// Path is where sessions are created.
	Path string
	// Health is the path of the word health, "" without it.
	Health string
	// OAuth is the path of the word oauth, "" without it; Discovery reports whether the
	// discovery documents are served, and Issuer is the path of the issuer, where they are: ""
	// or without a trailing slash.
	OAuth, Issuer string
	Discovery     bool
	// Lifecycle and Keys report whether the word lifecycle is on, and whether the public keys of
	// access tokens are served.
	Lifecycle, Keys bool
	// Browser reports whether the word browser is on, and SignIn whether people sign in there.
	Browser, SignIn bool
	// Banner reports whether the bar is served that shows who acts as whom.
	Banner bool
	// Logout and Events report whether an issuer sends logout tokens, and security events.
	Logout, Events bool
}

// The paths of the description.
const (
	defaultPath   = "/auth/sessions"
	defaultOAuth  = "/oauth"
	defaultHealth = "/healthz"

	metadata      = "/.well-known/oauth-authorization-server" // RFC 8414 section 3.1: before the issuer's path
	configuration = "/.well-known/openid-configuration"       // OpenID Connect Discovery 1.0 section 4.1: behind it
)

// Of returns the description of a site, as JSON. Its server is where it is served.
func Of(site Site) ([]byte, error) {
	var all map[string]any
	if err := yaml.Unmarshal(YAML, &all); err != nil {
		return nil, fmt.Errorf("reading the description: %w", err)
	}
	all["servers"] = []any{map[string]any{"url": "/"}} // RFC 3986 section 5.1: of the address that it came from
	on := map[string]bool{"": true, "openapi": true, "lifecycle": site.Lifecycle, "browser": site.Browser, "sign_in": site.SignIn, "banner": site.Banner, "keys": site.Keys, "health": site.Health != "", "oauth": site.OAuth != "", "discovery": site.Discovery, "logout": site.Logout, "events": site.Events}
	paths := map[string]any{}
	for path, item := range all["paths"].(map[string]any) {
		if keepServed(item.(map[string]any), on) {
			paths[site.at(path)] = item
		}
	}
	all["paths"] = paths
	return json.Marshal(all)
}

// methods are those of the operations of a path.
var methods = [...]string{"get", "head", "post", "delete"}

// keepServed removes the operations of a path that are off, and reports whether others are left.
func keepServed(item map[string]any, on map[string]bool) (left bool) {
	for _, method := range methods {
		operation, ok := item[method].(map[string]any)
		if !ok {
			continue
		}
		if word, _ := operation["x-served-with"].(string); !on[word] {
			delete(item, method)
			continue
		}
		left = true
	}
	return left
}

// at returns a path of the description as the site has it.
func (s *Site) at(path string) string {
	switch path {
	case defaultHealth:
		return s.Health
	case metadata:
		return metadata + s.Issuer
	case configuration:
		return s.Issuer + configuration
	}
	if rest, ok := strings.CutPrefix(path, defaultPath); ok {
		return s.Path + rest
	}
	if rest, ok := strings.CutPrefix(path, defaultOAuth); ok {
		return s.OAuth + rest
	}
	return path
}

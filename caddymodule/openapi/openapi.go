package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML describes every endpoint, at the default paths.
//
//go:embed openapi.yaml
var YAML []byte

// A Site is what a block serves.
type Site struct {
	// Path is where sessions are created.
	Path string
	// Health is the path of health, "" without it.
	Health string
	// OAuth is the path of oauth, "" without it. Discovery means that the discovery documents are
	// served, and Issuer is the path of the issuer in theirs, without a trailing slash.
	OAuth, Issuer string
	Discovery     bool
	// Lifecycle means that lifecycle is configured, and Keys that the public keys of access tokens
	// are served.
	Lifecycle, Keys bool
	// Browser means that browser is configured, and SignIn that people sign in there.
	Browser, SignIn bool
	// Banner means that the bar is served that shows who is acting as whom.
	Banner bool
	// Logout and Events mean that an issuer sends logout tokens, and security events.
	Logout, Events bool
}

// Paths in the description.
const (
	defaultPath   = "/auth/sessions"
	defaultOAuth  = "/oauth"
	defaultHealth = "/healthz"

	metadata      = "/.well-known/oauth-authorization-server" // RFC 8414 section 3.1: before the issuer's path
	configuration = "/.well-known/openid-configuration"       // OpenID Connect Discovery 1.0 section 4.1: behind it
)

// Of returns the description of a site, as JSON. Its server URL is relative.
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

// methods are the methods of operations in the description.
var methods = [...]string{"get", "head", "post", "delete"}

// keepServed removes the operations of a path that are not served, and reports whether others are
// left.
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

// at returns the site's path for a path in the description.
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

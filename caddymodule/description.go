package caddymodule

import (
	"fmt"
	"net/url"
	"strings"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/openapi"
)

// description returns the OpenAPI description of what a block serves.
func description(b *config.Block) ([]byte, error) {
	issuer, err := url.Parse(b.Issuer)
	if err != nil {
		return nil, fmt.Errorf("describing the endpoints: %w", err)
	}
	site := openapi.Site{
		Path: b.Path, Health: b.Health, Issuer: strings.TrimSuffix(issuer.Path, "/"),
		Lifecycle: b.Lifecycle, Keys: b.Lifecycle || b.PublishesKeys(), Discovery: b.Discovers(), Browser: b.Browser != nil, SignIn: b.SignInIssuer() != "", Banner: b.Browser != nil && b.Browser.Banner,
	}
	for _, t := range b.Trust {
		site.Logout, site.Events = site.Logout || t.Logout != nil, site.Events || t.Events != nil
	}
	if b.OAuth != nil {
		site.OAuth = b.OAuth.Path
	}
	return openapi.Of(site)
}

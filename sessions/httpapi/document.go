package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/urlpath"
)

// A document is public and may be cached. It is served below our path.
type document struct {
	rest   string // the rest of the path
	own    urlpath.Own
	routes []route
}

// documentsOf returns the documents to serve.
func documentsOf(c *Config) (all []document) {
	add := func(rest string, serve func(*API, http.ResponseWriter, *http.Request) error) {
		all = append(all, document{rest, urlpath.NewOwn(c.Path+rest, false), []route{{"GET", false, serve}, {"HEAD", false, serve}}})
	}
	if c.Lifecycle || c.KeySet {
		add("/jwks.json", (*API).jwks)
	}
	if c.OpenAPI != nil {
		add("/openapi.json", (*API).describe)
	}
	return all
}

// jwks answers GET <path>/jwks.json: the public keys of access tokens.
func (a *API) jwks(w http.ResponseWriter, r *http.Request) error {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, key := range a.Keys() {
		jwk, err := key.PublicJWK()
		if err != nil {
			return fmt.Errorf("publishing keys: %w", err)
		}
		set.Keys = append(set.Keys, jwk)
	}
	data, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("publishing keys: %w", err)
	}
	endpoint.Publish(w, r, "application/jwk-set+json", a.KeysMaxAge, data)
	return nil
}

// descriptionMaxAge is how long the description may be cached: it changes with the configuration.
const descriptionMaxAge = 5 * time.Minute

// describe answers GET <path>/openapi.json.
func (a *API) describe(w http.ResponseWriter, r *http.Request) error {
	endpoint.Publish(w, r, "application/json", descriptionMaxAge, a.OpenAPI)
	return nil
}

package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions/urlpath"
)

// A document is what anybody may read and remember, below our path.
type document struct {
	rest   string // of the path
	own    urlpath.Own
	routes []route
}

// documentsOf returns the documents that are served.
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
	for _, key := range a.keys() {
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
	publish(w, r, "application/jwk-set+json", a.keysMaxAge, data)
	return nil
}

// describedFor is how long the description may be remembered: another configuration has another.
const describedFor = 5 * time.Minute

// describe answers GET <path>/openapi.json.
func (a *API) describe(w http.ResponseWriter, r *http.Request) error {
	publish(w, r, "application/json", describedFor, a.openAPI)
	return nil
}

// publish answers with a document, or that it has not changed.
func publish(w http.ResponseWriter, r *http.Request, contentType string, maxAge time.Duration, data []byte) {
	sum := sha256.Sum256(data)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge/time.Second)))
	header.Set("ETag", tag)
	header.Set("X-Content-Type-Options", "nosniff")
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

// matches reports whether an If-None-Match names the tag (RFC 9110 section 13.1.2).
func matches(fields []string, tag string) bool {
	for _, field := range fields {
		for candidate := range strings.SplitSeq(field, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}

package endpoint

import (
	"net/http"
	"slices"
	"strings"
)

// NoStore keeps a response out of all caches, whatever its headers said before: headers for some
// caches would take precedence over Cache-Control there (RFC 9213 section 2.2).
func NoStore(h http.Header) {
	for name := range h {
		if IsCachingHeader(name) {
			delete(h, name)
		}
	}
	h["Cache-Control"] = []string{"no-store"}
}

// IsCachingHeader reports whether a header other than Cache-Control controls caches.
func IsCachingHeader(name string) bool {
	return strings.HasSuffix(name, "-Cache-Control") || slices.Contains(cachingHeaders, name)
}

var cachingHeaders = []string{"Expires", "Pragma", "Surrogate-Control", "Edge-Control", "X-Accel-Expires"}

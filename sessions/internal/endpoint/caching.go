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
		if IsForCaches(name) {
			delete(h, name)
		}
	}
	h["Cache-Control"] = []string{"no-store"}
}

// IsForCaches reports whether a header other than Cache-Control controls caches.
func IsForCaches(name string) bool {
	return strings.HasSuffix(name, "-Cache-Control") || slices.Contains(forCaches, name)
}

var forCaches = []string{"Expires", "Pragma", "Surrogate-Control", "Edge-Control", "X-Accel-Expires"}

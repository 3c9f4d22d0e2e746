package endpoint

import (
	"net/http"
	"slices"
	"strings"
)

// NoStore keeps an answer out of all caches, whatever was said of it before, and to whom: what is
// meant for some caches alone goes before Cache-Control there (RFC 9213 section 2.2).
func NoStore(h http.Header) {
	for name := range h {
		if IsForCaches(name) {
			delete(h, name)
		}
	}
	h["Cache-Control"] = []string{"no-store"}
}

// IsForCaches reports whether caches go by a header, beside Cache-Control.
func IsForCaches(name string) bool {
	return strings.HasSuffix(name, "-Cache-Control") || slices.Contains(forCaches, name)
}

var forCaches = []string{"Expires", "Pragma", "Surrogate-Control", "Edge-Control", "X-Accel-Expires"}

package banner

import (
	"net/http"
	"slices"
	"strings"
)

// fragments are headers with which libraries ask for a part of a page.
var fragments = []string{"Hx-Request", "Turbo-Frame", "X-Pjax", "X-Inertia", "X-Up-Version"}

// conditions are headers that can lead to less than the whole page (RFC 9110 sections 13.1 and
// 14.2).
var conditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"}

// Wanted reports whether a request is for a page that a person looks at, rather than for a frame or
// a script. It does not allocate.
func Wanted(r *http.Request) bool {
	switch r.Method {
	case http.MethodHead, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return false
	}
	if len(r.Header["Upgrade"]) > 0 || strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") || slices.ContainsFunc(fragments, func(name string) bool { return len(r.Header[name]) > 0 }) {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html") // older browsers, and plain HTTP
}

// askForWholePage makes the request ask for the whole page, uncompressed.
func askForWholePage(r *http.Request) {
	r.Header["Accept-Encoding"] = []string{"identity"}
	if r.Method != http.MethodGet { // in other methods, conditions prevent lost updates
		return
	}
	for _, name := range conditions {
		delete(r.Header, name)
	}
}

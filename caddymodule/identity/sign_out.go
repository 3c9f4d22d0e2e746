package identity

import (
	"net/http"
	"slices"

	"authsidecar/sessions/forward"
)

// signsOut reports whether a person signs out of the app with the request: with an unsafe request
// from a page of this site, or by navigating to a page, either from one of this site or directly. A
// link on another site, or a script that prefetches, does not sign out. An app that signs people
// out in those cases must send Auth-Session: end.
func (m *Middleware) signsOut(r *http.Request) bool {
	if !m.signOutPaths.Names(r) {
		return false
	}
	if forward.Unsafe(r) {
		return !m.Browser.CrossSite(r)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return r.Method == http.MethodGet && (site == "same-origin" || site == "none") && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// prefetchHeaders are headers with which browsers, and scripts that imitate them, say that they
// prefetch (Fetch, section 3.6; the others are older).
var prefetchHeaders = [...]string{"Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"}

// prefetches reports whether a browser prefetches a page. It must not prefetch a page at which
// people sign out: it would later show that page without sending a request.
func prefetches(r *http.Request) bool {
	return !forward.Unsafe(r) && slices.ContainsFunc(prefetchHeaders[:], func(name string) bool { return len(r.Header[name]) > 0 })
}

package identity

import (
	"net/http"
	"slices"

	"authsidecar/sessions/forward"
)

// signsOut reports whether a person signs out of the app by the request: by what changes something
// and comes from a page of this site, or by going to a page, from one of this site or by
// themselves. What gets the page otherwise is no will of theirs: a link of another site, and a
// script that loads it ahead. An app that signs them out at that says Auth-Session: end.
func (m *Middleware) signsOut(r *http.Request) bool {
	if !m.exits.Names(r) {
		return false
	}
	if forward.Unsafe(r) {
		return !m.Browser.CrossSite(r)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return r.Method == http.MethodGet && (site == "same-origin" || site == "none") && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// ahead are the headers by which browsers, and scripts that do as they do, say that they load a
// page ahead (Fetch, section 3.6; the others came before it).
var ahead = [...]string{"Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"}

// prefetches reports whether a browser loads a page that nobody asked for yet. Of a page at which
// people sign out it must not have one: it would show that one when they do, and send nothing.
func prefetches(r *http.Request) bool {
	return !forward.Unsafe(r) && slices.ContainsFunc(ahead[:], func(name string) bool { return len(r.Header[name]) > 0 })
}

package httpapi

import (
	"net/http"
	"strings"

	"authsidecar/sessions/urlpath"
)

// A Verdict tells whose request it is.
type Verdict = urlpath.Verdict

// The verdicts. Ours are POST on the path; with lifecycle, all on the path and below it.
const (
	Pass  = urlpath.Pass
	Ours  = urlpath.Ours
	Alias = urlpath.Alias
)

// Route tells whose request it is. Paths are compared as Caddy's own path matcher does:
// decoded, cleaned, in any case. What else some server could read as ours is nobody's. It
// does not allocate for canonical paths of ASCII.
//
// A request for our path by a method that we do not own is the app's; what could
// make the app take it for ours (method override headers, the _method parameter)
// is removed from it.
func (a *API) Route(r *http.Request) Verdict {
	if a.lifecycle || strings.EqualFold(r.Method, http.MethodPost) {
		return a.own.Verdict(r.URL)
	}
	if a.keySet && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		if verdict := a.ownKeys.Verdict(r.URL); verdict != Pass {
			return verdict
		}
	}
	if overridden(r) && a.own.Verdict(r.URL) != Pass {
		DropOverrides(r)
	}
	return Pass
}

package httpapi

import (
	"net/http"
	"strings"

	"authsidecar/sessions/urlpath"
)

// Route reports whose request it is: ours are POST on the path, and GET and HEAD of
// the documents below it; with lifecycle, all on the path and below it. Paths are compared as Caddy's own path matcher does: decoded, cleaned, in
// any case. What else some server could read as ours is nobody's. It does not allocate for
// canonical paths of ASCII.
//
// A request for our path by a method that we do not own is the app's, without what could make
// the app take it for ours: method override headers, the _method parameter (DropOverrides).
func (a *API) Route(r *http.Request) urlpath.Match {
	if a.lifecycle || strings.EqualFold(r.Method, http.MethodPost) {
		return a.own.Match(r.URL)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		for i := range a.documents {
			if m := a.documents[i].own.Match(r.URL); m.Owner != urlpath.Pass {
				m.Rest = a.documents[i].rest
				return m
			}
		}
	}
	if overridden(r) && a.own.Match(r.URL).Owner != urlpath.Pass {
		return urlpath.Match{Owner: urlpath.PassPlain}
	}
	return urlpath.Match{}
}

package httpapi

import (
	"net/http"
	"strings"

	"authsidecar/sessions/urlpath"
)

// Route matches a request. Ours are POST on the path, and GET and HEAD of the documents below it;
// with lifecycle, all requests on the path and below it. Paths are compared as Caddy's own path
// matcher does: decoded, cleaned, and case-insensitively. Other variants that some server could
// take for our path are not forwarded. It does not allocate for canonical ASCII paths.
//
// A request for our path with a method that we do not serve is the app's, but without anything that
// could make the app take it for ours: method override headers and the _method parameter
// (DropOverrides).
func (a *API) Route(r *http.Request) urlpath.Match {
	if a.Lifecycle || strings.EqualFold(r.Method, http.MethodPost) {
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

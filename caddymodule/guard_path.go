package caddymodule

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/text/unicode/norm"

	"authsidecar/sessions/httpapi"
)

// A pathGuard knows the paths that no request of an impersonated session may name.
// It compares as Caddy's path matcher does, each reading of a path.
type pathGuard struct{ match caddyhttp.MatchPath }

func newPathGuard(patterns []string) pathGuard {
	match := make(caddyhttp.MatchPath, len(patterns))
	for i, pattern := range patterns {
		match[i] = strings.ToLower(norm.NFKC.String(pattern))
	}
	return pathGuard{match}
}

// denies tells whether the request, as it came or as it was rewritten so far, names
// a guarded path.
func (g pathGuard) denies(r *http.Request) bool {
	if len(g.match) == 0 {
		return false
	}
	came := requested(r)
	return g.names(r, r.URL) || (came.Path != r.URL.Path || came.Opaque != r.URL.Opaque) && g.names(r, came)
}

func (g pathGuard) names(r *http.Request, u *url.URL) bool {
	probe := (&http.Request{URL: new(url.URL)}).WithContext(r.Context())
	for _, p := range [...]string{u.Path, "/" + u.Opaque} { // as in "GET x:billing": it goes to the app without its scheme
		for reading := range httpapi.Readings(p) {
			if g.matches(probe, reading) {
				return true
			}
		}
		if u.Opaque == "" {
			break
		}
	}
	return false
}

// matches tells whether a reading is guarded, as it is, or with or without the slash
// at its end, which many apps do not mind.
func (g pathGuard) matches(probe *http.Request, reading string) bool {
	short := strings.TrimRight(reading, "/.")
	return g.is(probe, short) || g.is(probe, short+"/") || reading != short && g.is(probe, reading)
}

func (g pathGuard) is(probe *http.Request, path string) bool {
	probe.URL.Path = path
	match, err := g.match.MatchWithError(probe)
	return match || err != nil
}

// pathHeaders tell some apps another path than that of the request.
var pathHeaders = [...]string{"X-Original-Url", "X-Rewrite-Url"}

// headerTwins are what some gateways do not tell from a hyphen in a header's name.
var headerTwins = strings.NewReplacer("_", "-", ".", "-")

// clean removes what could make an app take the request for one of another path.
func (g pathGuard) clean(header http.Header) {
	if len(g.match) == 0 {
		return
	}
	for name := range header {
		if slices.Contains(pathHeaders[:], http.CanonicalHeaderKey(headerTwins.Replace(name))) {
			delete(header, name)
		}
	}
}

// requested is the URL that the client asked for, whatever it was rewritten to since.
func requested(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL
	}
	return r.URL
}

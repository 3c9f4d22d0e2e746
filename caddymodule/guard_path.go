package caddymodule

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/text/unicode/norm"

	"authsidecar/sessions/forward"
	"authsidecar/sessions/urlpath"
)

// A pathGuard knows the paths that a request may not name. It compares canonical paths as
// Caddy's path matcher does, and takes all others for such paths.
type pathGuard struct{ match caddyhttp.MatchPath }

func newPathGuard(patterns []string) pathGuard {
	match := make(caddyhttp.MatchPath, 0, 2*len(patterns))
	for _, pattern := range patterns {
		match = append(match, guarded(strings.ToLower(norm.NFKC.String(pattern)))...)
	}
	return pathGuard{match}
}

// guarded returns the pattern, and those of what many apps take for the same: a path with
// or without the slash at its end, and what follows the name of a file.
func guarded(pattern string) []string {
	patterns := []string{pattern}
	if folder, below := strings.CutSuffix(pattern, "/*"); below && folder != "" {
		return append(patterns, folder)
	}
	if short, slash := strings.CutSuffix(pattern, "/"); slash && short != "" {
		return append(patterns, short)
	}
	if !strings.HasSuffix(pattern, "*") || strings.Count(pattern, "*") > 1 {
		patterns = append(patterns, pattern+"/")
	}
	if file := path.Base(pattern); strings.Contains(file, ".") && !strings.HasSuffix(file, "*") {
		patterns = append(patterns, pattern+"/*")
	}
	return patterns
}

// denies reports whether the request names a guarded path, or could: as it came, as it
// was rewritten so far, or as the target of what it copies or moves (RFC 4918 section
// 10.3).
func (g pathGuard) denies(r *http.Request) bool {
	if len(g.match) == 0 {
		return false
	}
	came := requested(r)
	if g.names(r, r.URL) || !urlpath.Canonical(came) || came.Path != r.URL.Path && g.names(r, came) {
		return true
	}
	for _, destination := range r.Header["Destination"] {
		if u, err := url.Parse(destination); err != nil || g.names(r, u) {
			return true
		}
	}
	return false
}

func (g pathGuard) names(r *http.Request, u *url.URL) bool {
	if !urlpath.Canonical(u) {
		return true
	}
	folded := urlpath.Fold(u.Path)
	return g.is(r, u.Path) || folded != u.Path && g.is(r, folded)
}

func (g pathGuard) is(r *http.Request, p string) bool {
	match, err := matchPath(g.match, r, p)
	return match || err != nil
}

// An exemptPath knows the paths that are exempt.
type exemptPath struct{ match caddyhttp.MatchPath }

func newExemptPath(patterns []string) (exemptPath, error) {
	match := append(caddyhttp.MatchPath{}, patterns...)
	return exemptPath{match}, match.Provision(caddy.Context{})
}

// exempts reports whether the request names an exempt path and nothing else: only a
// canonical path is one.
func (e exemptPath) exempts(r *http.Request) bool {
	if len(e.match) == 0 || !urlpath.Canonical(r.URL) || !urlpath.Canonical(requested(r)) || len(r.Header["Destination"]) > 0 {
		return false
	}
	folded := urlpath.Fold(r.URL.Path)
	return e.is(r, r.URL.Path) && (folded == r.URL.Path || e.is(r, folded))
}

func (e exemptPath) is(r *http.Request, p string) bool {
	match, err := matchPath(e.match, r, p)
	return match && err == nil
}

// matchPath asks the patterns for the path p, in place of that of the request.
func matchPath(patterns caddyhttp.MatchPath, r *http.Request, p string) (bool, error) {
	if p != r.URL.Path {
		r = (&http.Request{URL: &url.URL{Path: p}}).WithContext(r.Context())
	}
	return patterns.MatchWithError(r)
}

// removed are the headers that no request may come with: those that only we set, and those
// that rename its path, unless a proxy sends them that is trusted with these.
func (g *gate) removed(r *http.Request) *forward.Names {
	if g.trustsPathHeaders(r) {
		return g.names
	}
	return g.strict
}

// guardPath makes sure that what deny looks at is the path that the app sees, in shadow mode
// too, which leaves the app its headers otherwise.
func (g *gate) guardPath(r *http.Request) {
	if g.Shadow && len(g.inst.guards.paths.match) > 0 && !g.trustsPathHeaders(r) {
		forward.DropPathHeaders(r)
	}
}

// trustsPathHeaders reports whether the request comes from one of the proxies that Caddy
// trusts, and these are trusted with the headers that rename a path.
func (g *gate) trustsPathHeaders(r *http.Request) bool {
	if g.PathHeaders != fromTrustedProxies {
		return false
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// requested is the URL that the client asked for, whatever it was rewritten to since.
func requested(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL
	}
	return r.URL
}

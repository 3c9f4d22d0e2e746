package identity

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/text/unicode/norm"

	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/urlpath"
)

// A PathGuard is a set of paths that a request may not name. It compares canonical paths like
// Caddy's path matcher, and treats all other paths as guarded.
type PathGuard struct{ patterns pathpattern.Set }

func NewPathGuard(patterns []string) PathGuard {
	all := make([]string, 0, 4*len(patterns))
	for _, pattern := range patterns {
		all = append(all, guarded(norm.NFKC.String(pattern))...)
	}
	return PathGuard{pathpattern.New(all)}
}

// guarded returns the pattern and its common equivalents in apps: with or without a trailing slash,
// with a format after a dot, and with a path after the name of a file.
func guarded(pattern string) []string {
	patterns := []string{pattern}
	if folder, below := strings.CutSuffix(pattern, "/*"); below && folder != "" {
		return append(patterns, folder, folder+".*")
	}
	if pattern == "/" || strings.HasSuffix(pattern, "*") && strings.Count(pattern, "*") == 1 {
		return patterns
	}
	short := strings.TrimSuffix(pattern, "/")
	patterns = append(patterns, short, short+"/")
	switch file := path.Base(short); {
	case strings.HasSuffix(file, "*"):
		return patterns
	case strings.Contains(file, "."):
		return append(patterns, short+"/*")
	default:
		return append(patterns, short+".*")
	}
}

// Denies reports whether the request names a guarded path, or could: as received, as rewritten so
// far, or as the destination of COPY and MOVE (RFC 4918 section 10.3).
func (g PathGuard) Denies(r *http.Request) bool {
	if len(g.patterns) == 0 {
		return false
	}
	came := requestedURL(r)
	if !isCanonical(r) || g.names(r.URL) || came.Path != r.URL.Path && g.names(came) {
		return true
	}
	for _, destination := range r.Header["Destination"] {
		if u, err := url.Parse(destination); err != nil || g.names(u) {
			return true
		}
	}
	return false
}

// Names reports whether the request certainly names a guarded path: a canonical one, as received or
// as rewritten so far.
func (g PathGuard) Names(r *http.Request) bool {
	return len(g.patterns) > 0 && isCanonical(r) && (g.names(r.URL) || g.names(requestedURL(r)))
}

func (g PathGuard) names(u *url.URL) bool {
	if !urlpath.Canonical(u) {
		return true
	}
	f := foldPath(u.Path)
	return g.patterns.Match(u.Path) || f != u.Path && g.patterns.Match(f)
}

// An exemptPath is a set of exempt paths.
type exemptPath struct{ patterns pathpattern.Set }

// exempts reports whether the request certainly names an exempt path: only canonical paths are
// exempt.
func (e exemptPath) exempts(r *http.Request) bool {
	if len(e.patterns) == 0 || !isCanonical(r) || len(r.Header["Destination"]) > 0 {
		return false
	}
	f := foldPath(r.URL.Path)
	return e.patterns.Match(r.URL.Path) && (f == r.URL.Path || e.patterns.Match(f))
}

// isCanonical reports whether the path of the request is canonical, both as received and as
// rewritten so far.
func isCanonical(r *http.Request) bool {
	return urlpath.Canonical(r.URL) && urlpath.Canonical(requestedURL(r))
}

// foldPath returns the canonical path p with look-alike characters replaced: those of slashes and
// dots can make it another path.
func foldPath(p string) string {
	f := urlpath.Fold(p)
	if f == p {
		return p
	}
	return caddyhttp.CleanPath(f, true)
}

// strippedNames returns the headers that are removed from the request: ours, and those that rename
// its path unless they come from a trusted proxy.
func (m *Middleware) strippedNames(r *http.Request) *forward.Names {
	if m.trustsPathHeaders(r) {
		return m.names
	}
	return m.strict
}

// guardPath ensures that the app sees the path that deny has checked, even in shadow mode, which
// otherwise leaves headers alone.
func (m *Middleware) guardPath(r *http.Request) {
	if m.Shadow && len(m.denied.patterns) > 0 && !m.trustsPathHeaders(r) {
		forward.DropPathHeaders(r)
	}
}

// trustsPathHeaders reports whether the request comes from a proxy that Caddy trusts, and these
// proxies may rename a path with headers.
func (m *Middleware) trustsPathHeaders(r *http.Request) bool {
	if !m.TrustsPathHeaders() {
		return false
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// requestedURL returns the URL that the client requested, whatever it was rewritten to.
func requestedURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL
	}
	return r.URL
}

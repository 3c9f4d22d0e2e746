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

// A PathGuard knows the paths that a request may not name. It compares canonical paths as
// Caddy's path matcher does, and takes all others for guarded ones.
type PathGuard struct{ patterns pathpattern.Set }

func NewPathGuard(patterns []string) PathGuard {
	all := make([]string, 0, 4*len(patterns))
	for _, pattern := range patterns {
		all = append(all, guarded(norm.NFKC.String(pattern))...)
	}
	return PathGuard{pathpattern.New(all)}
}

// guarded returns the pattern, and those of what many apps take for the same: a path with
// or without the slash at its end, or with a format behind a dot, and what follows the name
// of a file.
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

// Denies reports whether the request names a guarded path, or could: as it came, as it
// was rewritten so far, or as the target of what it copies or moves (RFC 4918 section
// 10.3).
func (g PathGuard) Denies(r *http.Request) bool {
	if len(g.patterns) == 0 {
		return false
	}
	came := requested(r)
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

// Names reports whether the request names a guarded path and nothing else: by a canonical path,
// as it came or as it was rewritten so far.
func (g PathGuard) Names(r *http.Request) bool {
	return len(g.patterns) > 0 && isCanonical(r) && (g.names(r.URL) || g.names(requested(r)))
}

func (g PathGuard) names(u *url.URL) bool {
	if !urlpath.Canonical(u) {
		return true
	}
	f := folded(u.Path)
	return g.patterns.Match(u.Path) || f != u.Path && g.patterns.Match(f)
}

// An exemptPath knows the paths that are exempt.
type exemptPath struct{ patterns pathpattern.Set }

// exempts reports whether the request names an exempt path and nothing else: only a
// canonical path is one.
func (e exemptPath) exempts(r *http.Request) bool {
	if len(e.patterns) == 0 || !isCanonical(r) || len(r.Header["Destination"]) > 0 {
		return false
	}
	f := folded(r.URL.Path)
	return e.patterns.Match(r.URL.Path) && (f == r.URL.Path || e.patterns.Match(f))
}

// isCanonical reports whether the path of the request is canonical, as it came and as it was
// rewritten so far.
func isCanonical(r *http.Request) bool {
	return urlpath.Canonical(r.URL) && urlpath.Canonical(requested(r))
}

// folded is what the canonical path p is where look-alikes are one letter: those of slashes
// and dots may make it another.
func folded(p string) string {
	f := urlpath.Fold(p)
	if f == p {
		return p
	}
	return caddyhttp.CleanPath(f, true)
}

// removed are the headers that no request may come with: those that only we set, and those
// that rename its path, unless a proxy sends them that is trusted with these.
func (m *Middleware) removed(r *http.Request) *forward.Names {
	if m.trustsPathHeaders(r) {
		return m.names
	}
	return m.strict
}

// guardPath makes sure that what deny looks at is the path that the app sees, in shadow mode
// too, which leaves the app its headers otherwise.
func (m *Middleware) guardPath(r *http.Request) {
	if m.Shadow && len(m.guards.paths.patterns) > 0 && !m.trustsPathHeaders(r) {
		forward.DropPathHeaders(r)
	}
}

// trustsPathHeaders reports whether the request comes from one of the proxies that Caddy
// trusts, and these are trusted with the headers that rename a path.
func (m *Middleware) trustsPathHeaders(r *http.Request) bool {
	if !m.TrustsPathHeaders() {
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

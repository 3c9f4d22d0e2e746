package httpapi

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"authsidecar/sessions/urlpath"
)

// A Verdict tells whose request it is.
type Verdict int

// The verdicts.
const (
	// Pass: the app's.
	Pass Verdict = iota
	// Ours: POST on the path; with lifecycle, all on the path and below it.
	Ours
	// Alias: a variant of one of our paths, which the app could take for ours. Nobody
	// gets it: 404.
	Alias
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
		return a.own.verdict(r.URL)
	}
	if a.keySet && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		if verdict := a.ownKeys.verdict(r.URL); verdict != Pass {
			return verdict
		}
	}
	if overridden(r) && a.own.verdict(r.URL) != Pass {
		DropOverrides(r)
	}
	return Pass
}

// An ownPath is a path of ours.
type ownPath struct {
	path, lower string
	below       bool // whether all below it is ours too
	target      urlpath.Target
}

func newOwnPath(path string, below bool) ownPath {
	return ownPath{path: path, lower: strings.ToLower(path), below: below, target: urlpath.NewTarget(path, below)}
}

// verdict reports whether the path of u is this one, a variant of it, or neither.
func (o *ownPath) verdict(u *url.URL) Verdict {
	canonical := urlpath.Canonical(u)
	if u.Opaque == "" {
		p := u.Path
		if !canonical {
			p = clean(p)
		}
		if _, ok := o.rest(p); ok {
			return Ours
		}
	}
	if canonical && isASCII(u.Path) && !strings.EqualFold(strings.TrimSuffix(u.Path, "/"), o.path) {
		return Pass
	}
	if o.target.Names(u) {
		return Alias
	}
	return Pass
}

// rest returns what follows the path in p, a cleaned path: "" for the path itself, and
// for what is below it its slash and the rest. ok reports whether p is ours at all.
func (o *ownPath) rest(p string) (rest string, ok bool) {
	if len(p) < len(o.path) || strings.ToLower(p[:len(o.path)]) != o.lower {
		return "", false
	}
	rest = p[len(o.path):]
	return rest, rest == "" || o.below && rest[0] == '/'
}

// clean cleans a decoded path as Caddy's path matcher does.
func clean(p string) string {
	cleaned := path.Clean("/" + p)
	if cleaned != "/" && strings.HasSuffix(p, "/") {
		return cleaned + "/"
	}
	return cleaned
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

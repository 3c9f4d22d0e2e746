package urlpath

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// A Verdict says whose the path of a request is.
type Verdict int

// The verdicts.
const (
	// Pass: the app's.
	Pass Verdict = iota
	// Ours: it is one of ours.
	Ours
	// Alias: a variant of one of our paths, which the app could take for ours. Nobody
	// gets it: 404.
	Alias
)

// An Own is a path of ours. Paths are compared as Caddy's own path matcher does: decoded,
// cleaned, in any case. What else some server could read as ours is nobody's.
type Own struct {
	path, lower string
	below       bool // whether all below it is ours too
	target      Target
}

// NewOwn returns the path, absolute and clean, and with below all that is below it.
func NewOwn(path string, below bool) Own {
	return Own{path: path, lower: strings.ToLower(path), below: below, target: NewTarget(path, below)}
}

// Verdict reports whether the path of u is this one, a variant of it, or neither. It does
// not allocate for canonical paths of ASCII.
func (o *Own) Verdict(u *url.URL) Verdict { return o.verdict(u, Canonical(u)) }

// First returns the place of the first of the paths that u's is, or is a variant of, and
// which of both; -1 and Pass where it is neither of any.
func First(paths []Own, u *url.URL) (at int, verdict Verdict) {
	canonical := Canonical(u)
	for at := range paths {
		if verdict := paths[at].verdict(u, canonical); verdict != Pass {
			return at, verdict
		}
	}
	return -1, Pass
}

func (o *Own) verdict(u *url.URL, canonical bool) Verdict {
	if u.Opaque == "" {
		p := u.Path
		if !canonical {
			p = Clean(p)
		}
		if _, ok := o.Rest(p); ok {
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

// Rest returns what follows the path in p, a cleaned path: "" for the path itself, and
// for what is below it its slash and the rest. ok reports whether p is ours at all.
func (o *Own) Rest(p string) (rest string, ok bool) {
	if len(p) < len(o.path) || strings.ToLower(p[:len(o.path)]) != o.lower {
		return "", false
	}
	rest = p[len(o.path):]
	return rest, rest == "" || o.below && rest[0] == '/'
}

// Clean cleans a decoded path as Caddy's path matcher does.
func Clean(p string) string {
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

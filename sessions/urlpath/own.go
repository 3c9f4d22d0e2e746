package urlpath

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// An Owner is whose a request is.
type Owner int

// The owners.
const (
	// Pass: the app.
	Pass Owner = iota
	// PassPlain: the app, without what could make it take the request for one of another
	// method, which would be ours.
	PassPlain
	// Ours: we.
	Ours
	// Alias: neither. It is a variant of one of our paths, which the app could take for that
	// path: 404.
	Alias
)

// A Match is what a path of a request was found to be. It holds all that is needed to answer,
// so that the path is matched once.
type Match struct {
	Owner Owner
	// At is the place of the path of ours among those that First looked at.
	At int
	// Rest is what follows the path of ours, where that is below it: its slash and the rest.
	Rest string
}

// An Own is a path of ours. Paths are compared as Caddy's own path matcher does: decoded,
// cleaned, in any case. Other spellings that some server could read as ours are an Alias.
type Own struct {
	path, lower string
	below       bool // whether all below it is ours too
	target      target
}

// NewOwn returns the path, absolute and clean, and with below all that is below it.
func NewOwn(path string, below bool) Own {
	return Own{path: path, lower: strings.ToLower(path), below: below, target: newTarget(path, below)}
}

// Match reports whether the path of u is this one, a variant of it, or neither. It does not
// allocate for canonical paths of ASCII.
func (o *Own) Match(u *url.URL) Match { return o.match(u, Canonical(u)) }

// First returns the match of the first of the paths that u's is, or is a variant of.
func First(paths []Own, u *url.URL) Match {
	canonical := Canonical(u)
	for at := range paths {
		if m := paths[at].match(u, canonical); m.Owner != Pass {
			m.At = at
			return m
		}
	}
	return Match{}
}

func (o *Own) match(u *url.URL, canonical bool) Match {
	if u.Opaque == "" {
		p := u.Path
		if !canonical {
			p = Clean(p)
		}
		if rest, ok := o.rest(p); ok {
			return Match{Owner: Ours, Rest: rest}
		}
	}
	if canonical && !strings.ContainsFunc(u.Path, beyondASCII) && !strings.EqualFold(strings.TrimSuffix(u.Path, "/"), o.path) {
		return Match{}
	}
	if o.target.Names(u) {
		return Match{Owner: Alias}
	}
	return Match{}
}

// rest returns what follows the path in p, a cleaned path: "" for the path itself, and
// for what is below it its slash and the rest. ok reports whether p is ours at all.
func (o *Own) rest(p string) (rest string, ok bool) {
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

func beyondASCII(r rune) bool { return r >= utf8.RuneSelf }

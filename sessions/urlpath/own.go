package urlpath

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// An Owner is who answers a request.
type Owner int

// The owners.
const (
	// Pass: the app.
	Pass Owner = iota
	// PassPlain: the app, but without anything that could make it treat the request as one with
	// another method, which would be ours.
	PassPlain
	// Ours: our endpoints.
	Ours
	// Alias: nobody. It is a variant of one of our paths, which the app could take for that path:
	// 404.
	Alias
)

// A Match is the result of matching the path of a request. It contains everything needed to answer,
// so that the path is matched only once.
type Match struct {
	Owner Owner
	// At is the index of our path among those that First compared.
	At int
	// Rest is what follows our path, if the path is below it: a slash and the rest.
	Rest string
}

// An Own is a path of ours. Paths are compared as Caddy's own path matcher does: decoded, cleaned,
// and case-insensitively. Other spellings that some server could take for it are an Alias.
type Own struct {
	path, lower string
	below       bool // everything below it is ours too
	target      target
}

// NewOwn returns a path, absolute and clean, and with below everything below it.
func NewOwn(path string, below bool) Own {
	return Own{path: path, lower: strings.ToLower(path), below: below, target: newTarget(path, below)}
}

// Match reports whether the path of u is this path, a variant of it, or neither. It does not
// allocate for canonical ASCII paths.
func (o *Own) Match(u *url.URL) Match { return o.match(u, Canonical(u)) }

// First returns the match of the first path that u's path is, or is a variant of.
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

// rest returns what follows our path in p, a cleaned path: "" for our path itself, and a slash and
// the rest for a path below it. ok reports whether p is ours at all.
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

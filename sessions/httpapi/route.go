package httpapi

import (
	"net/http"
	"strings"
)

// A Verdict tells whose request it is.
type Verdict int

// The verdicts.
const (
	// Pass: the app's.
	Pass Verdict = iota
	// Ours: POST on the path; with lifecycle, all on the path and below it.
	Ours
	// Alias: spelt so that a lenient app could still take it for one of ours.
	// Nobody gets it: 404.
	Alias
)

// Route tells whose request it is. Paths are compared as Caddy's own path
// matcher does: decoded, cleaned, case-insensitive. It does not allocate for
// requests that are plainly spelt.
//
// A request for our path by a method that we do not own is the app's; what could
// make the app take it for ours (method override headers, the _method parameter)
// is removed from it.
func (a *API) Route(r *http.Request) Verdict {
	p := r.URL.Path
	if r.URL.Opaque != "" { // as in "POST x:auth/sessions": it goes to the app without its scheme
		p = "/" + r.URL.Opaque
	}
	if a.lifecycle || strings.EqualFold(r.Method, http.MethodPost) {
		if verdict := a.compare(p); verdict != Ours || r.URL.Opaque == "" {
			return verdict
		}
		return Alias
	}
	if a.keySet && a.isKeySet(clean(p)) && r.URL.Opaque == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return Ours
	}
	if (plain(p) || overridden(r)) && a.compare(p) != Pass { // in the order of what is cheap to tell
		DropOverrides(r)
	}
	return Pass
}

// compare tells whether p is our path, an alias of it, or neither.
func (a *API) compare(p string) Verdict {
	switch {
	case plain(p):
		if _, ok := a.below(p); ok {
			return Ours
		}
		if strings.EqualFold(strings.TrimRight(p, "/."), a.path) {
			return Alias
		}
		return Pass
	case a.isBelow(clean(p)):
		return Ours
	case a.lenient(p):
		return Alias
	default:
		return Pass
	}
}

// below returns what follows our path in p, a cleaned path: "" for the path
// itself, and with lifecycle what is below it, with its slash. ok tells whether
// p is ours at all.
func (a *API) below(p string) (rest string, ok bool) {
	if len(p) < len(a.path) || strings.ToLower(p[:len(a.path)]) != a.lowerPath {
		return "", false
	}
	rest = p[len(a.path):]
	return rest, rest == "" || a.lifecycle && rest[0] == '/'
}

// isKeySet tells whether p, a cleaned path, is where the public keys are and nothing
// else is ours.
func (a *API) isKeySet(p string) bool {
	return a.keySet && !a.lifecycle && strings.EqualFold(p, a.path+"/jwks.json")
}

func (a *API) isBelow(p string) bool {
	_, ok := a.below(p)
	return ok
}

// plain tells whether a path has but one reading: no empty or dotted segments,
// nothing encoded twice, no parameters, backslashes, blanks, controls, or bytes
// beyond ASCII.
func plain(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case c <= ' ' || c >= 0x7f || c == '%' || c == ';' || c == '\\' || c == '?' || c == '#':
			return false
		case (c == '/' || c == '.') && i > 0 && p[i-1] == '/':
			return false
		}
	}
	return true
}

// lenient tells whether some app could read p as our path.
func (a *API) lenient(p string) bool {
	for reading := range Readings(p) {
		if a.isBelow(strings.ToLower(strings.TrimRight(reading, "/."))) {
			return true
		}
	}
	return false
}

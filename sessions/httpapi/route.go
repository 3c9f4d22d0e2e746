package httpapi

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
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

// overrideHeaders let an app take a request for one of another method.
var overrideHeaders = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

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
	if overridden(r) && a.compare(p) != Pass {
		dropOverrides(r)
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

func clean(p string) string {
	cleaned := path.Clean("/" + p)
	if cleaned != "/" && strings.HasSuffix(p, "/") {
		return cleaned + "/"
	}
	return cleaned
}

// lenient tells whether some app could read p as our path: decoded again,
// backslashes as slashes, segment parameters cut, blanks and controls dropped,
// compatibility characters folded.
func (a *API) lenient(p string) bool {
	for range 8 { // each round undoes one more encoding
		if a.isBelow(strings.ToLower(strings.TrimRight(clean(simplify(p)), "/."))) {
			return true
		}
		decoded := unescape(p)
		if decoded == p {
			return false
		}
		p = decoded
	}
	return false
}

// unescape decodes what is encoded rightly, and leaves the rest as it is.
func unescape(p string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(p, "%")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		if code, err := strconv.ParseUint(after[:min(2, len(after))], 16, 8); err == nil && len(after) >= 2 && after[0] != '+' && after[0] != '-' {
			out.WriteByte(byte(code))
			after = after[2:]
		} else {
			out.WriteByte('%')
		}
		p = after
	}
}

func simplify(p string) string {
	if end := strings.IndexAny(p, "\x00?#"); end >= 0 {
		p = p[:end] // where a C string ends, or a path
	}
	p = norm.NFKC.String(strings.ToValidUTF8(p, ""))
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, segment := range segments {
		segment, _, _ = strings.Cut(segment, ";")
		segments[i] = strings.Map(dropBlank, segment)
	}
	return strings.Join(segments, "/")
}

func dropBlank(r rune) rune {
	if r <= ' ' || r == 0x7f || r == utf8.RuneError || unicode.In(r, unicode.Cf, unicode.Zs) {
		return -1
	}
	return r
}

// overridden tells whether something in the request could make an app take it
// for one of another method.
func overridden(r *http.Request) bool {
	for _, name := range overrideHeaders {
		if _, ok := r.Header[name]; ok {
			return true
		}
	}
	return strings.Contains(r.URL.RawQuery, "_") || strings.Contains(r.URL.RawQuery, "%5")
}

// dropOverrides removes what could make an app take the request for one of
// another method.
func dropOverrides(r *http.Request) {
	for _, name := range overrideHeaders {
		r.Header.Del(name)
	}
	kept := make([]string, 0, 4)
	for part := range strings.FieldsFuncSeq(r.URL.RawQuery, func(c rune) bool { return c == '&' || c == ';' }) {
		name, _, _ := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); err != nil || !strings.EqualFold(decoded, "_method") {
			kept = append(kept, part)
		}
	}
	r.URL.RawQuery = strings.Join(kept, "&")
}

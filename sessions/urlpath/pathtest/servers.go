// Package pathtest models how servers read the path of a request, for tests of who decides
// by paths.
package pathtest

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// A Server is a way to read a path.
type Server struct {
	// Name says who reads so.
	Name string
	// Read returns the path that an app behind the server compares with its routes, for
	// one as it is on the wire, without its query.
	Read func(wire string) string
}

// Servers are the ways that are known.
var Servers = []Server{
	{"Express: not decoded", func(wire string) string { return wire }},
	{"Go, WSGI: decoded", decode},
	{"WHATWG URL, as in Node: //host, dot segments, backslashes", whatwg},
	{"WHATWG URL, decoded", func(wire string) string { return decode(whatwg(wire)) }},
	{"ServeMux, Caddy: decoded and cleaned", func(wire string) string { return clean(decode(wire)) }},
	{"nginx, Flask: slashes merged", func(wire string) string { return mergeSlashes(decode(wire)) }},
	{"cleaned, then decoded", func(wire string) string { return decode(clean(wire)) }},
	{"Java: parameters cut, then decoded and cleaned", func(wire string) string { return clean(decode(cutParameters(wire))) }},
	{"Java: decoded, then parameters cut", func(wire string) string { return clean(cutParameters(decode(wire))) }},
	{"behind a proxy that decodes: decoded twice", func(wire string) string { return clean(decode(decode(wire))) }},
	{"decoded, and taken for a URL again", func(wire string) string { return clean(cutAt(decode(wire), "?#")) }},
	{"C: up to a NUL", func(wire string) string { return clean(cutAt(decode(wire), "\x00")) }},
	{"Windows: backslashes, dots and blanks at the ends of names", func(wire string) string { return windows(decode(wire)) }},
	{"PHP, CGI: the script", func(wire string) string { script, _ := splitScript(clean(decode(wire))); return script }},
	{"PHP, CGI: what follows the script", func(wire string) string {
		script, info := splitScript(clean(decode(wire)))
		if info == "" {
			return script
		}
		return info
	}},
}

// Folding are those that take look-alikes for what they look like, as databases and legacy
// code pages do. They read letters beyond ASCII as others, so they are none of Servers.
var Folding = []Server{
	{"code pages: compatibility characters folded", func(wire string) string { return clean(norm.NFKC.String(decode(wire))) }},
}

func decode(p string) string {
	decoded, err := url.PathUnescape(p)
	if err != nil {
		return p
	}
	return decoded
}

func clean(p string) string {
	cleaned := path.Clean("/" + p)
	if cleaned != "/" && strings.HasSuffix(p, "/") {
		cleaned += "/"
	}
	return cleaned
}

func mergeSlashes(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	return p
}

func cutAt(p, marks string) string {
	if end := strings.IndexAny(p, marks); end >= 0 {
		return p[:end]
	}
	return p
}

func cutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i := range segments {
		segments[i] = cutAt(segments[i], ";")
	}
	return strings.Join(segments, "/")
}

// whatwg is the path of new URL(wire, "http://app"): WHATWG URL, basic URL parser.
func whatwg(wire string) string {
	wire = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(wire)
	wire = cutAt(wire, "?#")
	if strings.HasPrefix(wire, "//") {
		_, rest, _ := strings.Cut(strings.TrimLeft(wire, "/"), "/")
		wire = "/" + rest
	}
	var kept []string
	segments := strings.Split(strings.TrimPrefix(wire, "/"), "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		case ".":
		default:
			kept, last = append(kept, segment), false
		}
		if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

func windows(p string) string {
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, segment := range segments {
		if segment != "." && segment != ".." {
			segments[i] = strings.TrimRight(segment, ". ")
		}
	}
	return clean(strings.Join(segments, "/"))
}

// scripts is where a script's name ends: wherever php is for Caddy's FastCGI transport,
// with a segment for others.
var scripts = regexp.MustCompile(`(?i)\.php|\.(phtml|cgi|aspx|cfm)/`)

func splitScript(p string) (script, info string) {
	at := scripts.FindStringIndex(p)
	if at == nil {
		return p, ""
	}
	script = strings.TrimSuffix(p[:at[1]], "/")
	return script, p[len(script):]
}

package httpapi

import (
	"iter"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// mostEncodings is how often a path may be encoded for a reading of it.
const mostEncodings = 8

// Readings yields the paths that some server could take p for, a path that was
// decoded once: cleaned as Caddy does; with backslashes as slashes, segment
// parameters cut, blanks and controls dropped, and compatibility characters folded;
// and all that again for each encoding that is left.
func Readings(p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if plain(p) && strings.HasPrefix(p, "/") {
			yield(p)
			return
		}
		for range mostEncodings {
			if !yield(clean(p)) || !yield(clean(simplify(p))) {
				return
			}
			decoded := unescape(p)
			if decoded == p {
				return
			}
			p = decoded
		}
	}
}

func clean(p string) string {
	cleaned := path.Clean("/" + p)
	if cleaned != "/" && strings.HasSuffix(p, "/") {
		return cleaned + "/"
	}
	return cleaned
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

package urlpath

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxLocal is the maximum length of a local path, in bytes: it becomes part of the URL of another
// page.
const maxLocal = 2048

// Local reports whether target is a path of this site, with or without a query, whatever encoding
// it has and whatever decodes or cleans it.
func Local(target string) bool { return strings.HasPrefix(target, "/") && Relative(target) }

// Relative reports whether text, used as a URL on a page, does not leave the site of that page,
// decoded or not. A browser leaves the site for a URL with a scheme, for //host and for /\host;
// before that, it strips leading blanks, and tabs and line breaks anywhere (WHATWG URL, basic URL
// parser).
func Relative(text string) bool {
	if len(text) > maxLocal || strings.ContainsFunc(text, isControl) {
		return false
	}
	p := text
	if end := strings.IndexAny(p, "?#"); end >= 0 {
		p = p[:end]
	}
	for range maxEncodings {
		if strings.ContainsFunc(p, isControl) || strings.Contains(p, `\`) || leavesSite(strings.TrimLeft(p, " ")) {
			return false
		}
		decoded := Unescape(p)
		if decoded == p {
			return true
		}
		p = decoded
	}
	return false
}

// leavesSite reports whether a URL with this path, or one that seems to begin with it, has a host
// or a scheme, possibly after cleaning.
func leavesSite(p string) bool {
	if strings.HasPrefix(p, "/") {
		return strings.Contains(p, "//")
	}
	scheme, _, found := strings.Cut(p, ":")
	return found && scheme != "" && !strings.ContainsFunc(scheme, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && r != '+' && r != '-' && r != '.'
	})
}

// ASCII percent-encodes blanks and non-ASCII bytes of a path, for a header.
func ASCII(path string) string {
	var out strings.Builder
	for i := range len(path) {
		if c := path[i]; c == ' ' || c >= utf8.RuneSelf {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

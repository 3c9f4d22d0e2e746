package urlpath

import "strings"

// maxLocal bounds a way back, in bytes: it is in the URL of another page.
const maxLocal = 2048

// Local reports whether target is a path of the site that it is given to, with or without
// a query, however it is encoded and whatever decodes or cleans it. A browser leaves a site
// for //host and for /\host; it takes tabs and line ends out of a URL before it looks
// (WHATWG URL, basic URL parser).
func Local(target string) bool {
	if len(target) > maxLocal || strings.ContainsFunc(target, isControl) {
		return false
	}
	p := target
	if end := strings.IndexAny(p, "?#"); end >= 0 {
		p = p[:end]
	}
	for range maxEncodings {
		if !strings.HasPrefix(p, "/") || strings.Contains(p, "//") || strings.Contains(p, `\`) || strings.ContainsFunc(p, isControl) {
			return false
		}
		decoded := unescape(p)
		if decoded == p {
			return true
		}
		p = decoded
	}
	return false
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

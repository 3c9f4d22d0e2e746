package urlpath

import (
	"encoding/hex"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Canonical reports whether all servers read the path of u, as spelled on the wire, in the same
// way. It does not allocate. A canonical path
//
//   - starts with a slash and has no empty segment except the last, no segment that ends in a dot
//     (so neither . nor ..), and none that starts or ends with a blank;
//   - contains, after decoding, none of % ; \ ? # and no control characters, and is valid UTF-8;
//   - encodes neither slashes nor characters that need no encoding (RFC 3986 section 2.3), and
//     leaves no others unencoded (section 3.3), except [ ] ^ |, which browsers do not encode
//     (WHATWG URL, path percent-encode set);
//   - has nothing after the name of a script, since that would be the path of something else (RFC
//     3875 section 4.1.5).
//
// So /M%C3%A4rz%202026.pdf and /users/a%40example.com are canonical, and //x, /a/../b, /a%2Fb,
// /%61, /a;b and /admin.php/x.css are not.
func Canonical(u *url.URL) bool {
	return u.Opaque == "" && isUnambiguous(u.Path) && (u.RawPath == "" || isPlain(u.RawPath))
}

// isUnambiguous reports whether all servers read a decoded path in the same way.
func isUnambiguous(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	start := 1 // beginning of the segment
	for i := 1; i < len(p); i++ {
		c := p[i]
		if isOrdinary[c] {
			continue
		}
		switch {
		case c == '/':
			if segment := p[start:i]; !hasPlainEnds(segment) || isScript(segment) {
				return false
			}
			start = i + 1
		case c == '.':
			if isPHP(p[i+1:]) {
				return false
			}
		case c < utf8.RuneSelf: // a control character, or one of % ; \ ? #
			return false
		default:
			r, size := utf8.DecodeRuneInString(p[i:])
			if r == utf8.RuneError && size == 1 || unicode.IsControl(r) {
				return false
			}
			i += size - 1
		}
	}
	return start == len(p) || hasPlainEnds(p[start:])
}

// hasPlainEnds reports whether a segment neither starts nor ends with something that servers strip
// on file systems without blanks and dots there.
func hasPlainEnds(segment string) bool {
	if segment == "" {
		return false
	}
	last := segment[len(segment)-1]
	return segment[0] != ' ' && last != ' ' && last != '.'
}

// isPHP reports whether the text after a dot is php followed by more: Caddy's FastCGI transport
// splits a path there.
func isPHP(rest string) bool {
	return len(rest) > 3 && strings.EqualFold(rest[:3], "php")
}

// scriptEndings are further endings of scripts whose servers pass them the rest of the path. Perl's
// and Python's are left out: they are also domains, which occur in many paths.
var scriptEndings = [...]string{
	"phtml", "phar", "cgi", "fcgi", "asp", "aspx", "ashx", "asmx", "axd", "svc", "jsp", "jspx", "cfm", "cfml", "cfc", "dll", "exe",
}

func isScript(segment string) bool {
	dot := strings.LastIndexByte(segment, '.')
	if dot < 0 {
		return false
	}
	for _, ending := range scriptEndings {
		if strings.EqualFold(segment[dot+1:], ending) {
			return true
		}
	}
	return false
}

// unencoded are the bytes of a path that are not encoded, unreserved ones first.
const (
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	unencoded  = unreserved + "/!$&'()*+,=:@" + "[]^|"
)

var isUnreserved, isUnencoded = setOf(unreserved), setOf(unencoded)

// isOrdinary is the set of bytes of a decoded path without special meaning: visible ASCII and
// blanks, except what some server takes for the end of a segment, a name or a path.
var isOrdinary = func() (set [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		set[c] = !strings.ContainsRune(`/.%;\?#`, c)
	}
	return set
}()

func setOf(chars string) (set [256]bool) {
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}

// isPlain reports whether an encoded path encodes everything that must be encoded, and neither
// slashes nor anything else.
func isPlain(raw string) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			if !isUnencoded[raw[i]] {
				return false
			}
			continue
		}
		c, ok := unhex(raw[i+1:])
		if !ok || c == '/' || isUnreserved[c] {
			return false
		}
		i += 2
	}
	return true
}

// unhex decodes the two hexadecimal digits at the beginning of s.
func unhex(s string) (c byte, ok bool) {
	if len(s) < 2 {
		return 0, false
	}
	var decoded [1]byte
	_, err := hex.Decode(decoded[:], []byte(s[:2]))
	return decoded[0], err == nil
}

package urlpath

import (
	"encoding/hex"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Canonical reports whether the path of u, as it was spelled on the wire, leaves nothing
// for a server to interpret. It does not allocate. A canonical path
//
//   - starts with a slash and has no empty segment but the last, no segment that ends in
//     a dot (so neither . nor ..), and none that starts or ends in a blank;
//   - has, decoded, none of % ; \ ? # and no control characters, and is valid UTF-8;
//   - encodes neither slashes nor what needs no encoding (RFC 3986 section 2.3), and
//     leaves nothing as it is that needs it (section 3.3, but for the [ ] ^ | that
//     browsers do not encode: WHATWG URL, path percent-encode set);
//   - has nothing after a script's name, which would be the path of something else (RFC
//     3875 section 4.1.5).
//
// So /M%C3%A4rz%202026.pdf and /users/a%40example.com are canonical, and //x, /a/../b,
// /a%2Fb, /%61, /a;b and /admin.php/x.css are not.
func Canonical(u *url.URL) bool {
	return u.Opaque == "" && isSettled(u.Path) && (u.RawPath == "" || isPlain(u.RawPath))
}

// isSettled reports whether a decoded path means the same to all.
func isSettled(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	start := 1 // of the segment
	for i := 1; i < len(p); i++ {
		c := p[i]
		if isOrdinary[c] {
			continue
		}
		switch {
		case c == '/':
			if segment := p[start:i]; !endsWell(segment) || isScript(segment) {
				return false
			}
			start = i + 1
		case c == '.':
			if isPHP(p[i+1:]) {
				return false
			}
		case c < utf8.RuneSelf: // a control, or one of % ; \ ? #
			return false
		default:
			r, size := utf8.DecodeRuneInString(p[i:])
			if r == utf8.RuneError && size == 1 || unicode.IsControl(r) {
				return false
			}
			i += size - 1
		}
	}
	return start == len(p) || endsWell(p[start:])
}

// endsWell reports whether nothing at the ends of a segment is cut by servers on file
// systems that know no blanks and dots there.
func endsWell(segment string) bool {
	if segment == "" {
		return false
	}
	last := segment[len(segment)-1]
	return segment[0] != ' ' && last != ' ' && last != '.'
}

// isPHP reports whether what follows a dot is php with more behind it: Caddy's FastCGI
// transport splits a path there, wherever it is.
func isPHP(rest string) bool {
	return len(rest) > 3 && strings.EqualFold(rest[:3], "php")
}

// scriptEndings are those of scripts whose servers give them the rest of the path, beside
// those that isPHP finds. The endings of Perl and Python are left out: they are domains
// too, and domains are in many paths.
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

// unencoded are the bytes of a path that stay as they are: unreserved ones first.
const (
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	unencoded  = unreserved + "/!$&'()*+,=:@" + "[]^|"
)

var isUnreserved, isUnencoded = setOf(unreserved), setOf(unencoded)

// isOrdinary are the bytes of a decoded path of which nothing is made: ASCII that can be
// seen, and blanks, but for what ends a segment, a name or a path somewhere.
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

// isPlain reports whether an encoded path is spelled as everybody would: what has to be
// encoded is, and neither slashes nor what need not be.
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

// unhex decodes the two hexadecimal digits that s starts with.
func unhex(s string) (c byte, ok bool) {
	if len(s) < 2 {
		return 0, false
	}
	var decoded [1]byte
	_, err := hex.Decode(decoded[:], []byte(s[:2]))
	return decoded[0], err == nil
}

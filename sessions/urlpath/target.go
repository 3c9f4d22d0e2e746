package urlpath

import (
	"net/url"
	"slices"
	"strings"
)

// maxEncodings is how many layers of encoding are removed.
const maxEncodings = 8

// A target is a path that belongs to somebody.
type target struct {
	segments []string
	below    bool
}

// newTarget returns the target for a path, absolute and clean, and with below everything below it.
func newTarget(path string, below bool) target {
	return target{segments: strings.Split(strings.ToLower(strings.TrimPrefix(path, "/")), "/"), below: below}
}

// Names reports whether some server could read the path of u as the target, and true if in doubt:
// all layers of encoding are removed, everything that some server strips is stripped, and if there
// are dot segments, any segment may be missing.
func (t target) Names(u *url.URL) bool {
	p := "/" + u.Opaque // as in "POST x:auth/sessions", which is forwarded without its scheme
	if u.Opaque == "" {
		p = u.Path
	}
	p = simplify(p)
	segments, dotted := split(p)
	if dotted {
		return t.isWithin(segments)
	}
	for start := range len(segments) {
		// //host/path is a URL without its scheme, and /x.php/path the path of a script.
		cut := start == 0 || start == 1 && strings.HasPrefix(p, "//") || segments[start-1].script
		if cut && t.isPrefix(segments[start:]) {
			return true
		}
	}
	return false
}

// A segment of a path, without the parts that servers strip.
type segment struct {
	name   string
	script bool
	ends   bool // something was stripped: some servers also strip everything after it
}

// simplify decodes and folds p until nothing changes.
func simplify(p string) string {
	for range maxEncodings {
		decoded := Unescape(p)
		decoded = strings.ReplaceAll(decoded, "\x00", "?") // the end of a C string
		decoded = strings.ReplaceAll(Fold(decoded), `\`, "/")
		if decoded == p {
			break
		}
		p = decoded
	}
	return strings.ToLower(p)
}

// Unescape decodes valid escapes and leaves others unchanged.
func Unescape(p string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(p, "%")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		if code, ok := unhex(after); ok {
			out.WriteByte(code)
			after = after[2:]
		} else {
			out.WriteByte('%')
		}
		p = after
	}
}

// split returns the non-empty segments of a simplified path; dotted reports whether one of them is
// a dot segment.
func split(p string) (segments []segment, dotted bool) {
	for part := range strings.SplitSeq(p, "/") {
		s := segment{name: part}
		if end := strings.IndexAny(part, ";?#"); end >= 0 {
			s.name, s.ends = part[:end], true
		}
		s.script = isScript(s.name) || strings.Contains(s.name, ".php")
		name := strings.TrimRight(s.name, ".")
		dotted = dotted || name == "" && len(s.name) > 1
		if s.name = name; name != "" {
			segments = append(segments, s)
		} else if last := len(segments) - 1; s.ends && last >= 0 {
			segments[last].ends = true
		}
	}
	return segments, dotted
}

// isPrefix reports whether the segments are those of the target, possibly followed by what may
// follow it.
func (t target) isPrefix(segments []segment) bool {
	if len(segments) < len(t.segments) {
		return false
	}
	for i, want := range t.segments {
		if segments[i].name != want {
			return false
		}
	}
	return t.below || len(segments) == len(t.segments) || segments[len(t.segments)-1].ends
}

// isWithin reports whether the segments of the target occur among these, in order.
func (t target) isWithin(segments []segment) bool {
	for _, want := range t.segments {
		at := slices.IndexFunc(segments, func(s segment) bool { return s.name == want })
		if at < 0 {
			return false
		}
		segments = segments[at+1:]
	}
	return true
}

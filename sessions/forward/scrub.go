package forward

import (
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// Names is the set of headers that we set and that clients must not set.
type Names struct {
	folded map[string]bool // true: to be removed; false: must not be listed
	sizes  [maxName + 1]bool
}

// maxName is the maximum length of our header names.
const maxName = 127

// NewNames returns a set of header names: ours, which only we may send, and replaced, which we
// replace in requests that may have their own. The latter are not removed, but no list may name
// them.
func NewNames(ours []string, replaced ...string) *Names {
	n := &Names{folded: make(map[string]bool, len(ours)+len(replaced))}
	add := func(names []string, removed bool) {
		for _, name := range names {
			n.folded[fold(name)] = removed
			n.sizes[min(len(name), maxName)] = true
		}
	}
	add(replaced, false)
	add(ours, true)
	return n
}

// Has reports whether an app could take the name for one that only we may send: in any case, and
// with any character for "-" that is neither a letter nor a digit, as in CGI and its successors.
func (n *Names) Has(name string) bool {
	removed, _ := n.find(name)
	return removed
}

// Fold returns the canonical spelling of a name for which Has returns true.
func (n *Names) Fold(name string) (folded string, ok bool) {
	if !n.Has(name) {
		return "", false
	}
	return fold(name), true
}

func (n *Names) find(name string) (removed, known bool) {
	if len(name) > maxName || !n.sizes[len(name)] {
		return false, false
	}
	var folded [maxName]byte
	for i := range len(name) {
		folded[i] = foldByte(name[i])
	}
	removed, known = n.folded[string(folded[:len(name)])]
	return removed, known
}

func fold(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = foldByte(c)
	}
	return string(folded)
}

func foldByte(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		return c
	default:
		return '-'
	}
}

// Scrub removes our headers from the request, in place, and their names from lists that would have
// headers removed (Connection: RFC 9110 section 7.6.1) or set after the body (Trailer: section
// 6.6.2). It removes requests to upgrade to another version of HTTP (Upgrade: section 7.8), which
// could not be scrubbed. Headers of kept, which may be nil, stay: we have set them.
func (n *Names) Scrub(r *http.Request, kept *Names) {
	for name, values := range r.Header {
		switch {
		case n.Has(name):
			if kept == nil || !kept.Has(name) {
				delete(r.Header, name)
			}
		case isList(name):
			n.scrubList(r.Header, name, values)
		case name == "Upgrade" && namesHTTP(values):
			delete(r.Header, name)
		}
	}
	if len(r.Trailer) == 0 {
		return
	}
	if n.scrubTrailer(r.Trailer); len(r.Trailer) == 0 {
		r.Trailer = nil
		return
	}
	r.Body = &trailedBody{ReadCloser: r.Body, names: n, trailer: r.Trailer}
}

// Delete removes only the headers that only we may send. A nil n removes none.
func (n *Names) Delete(header http.Header) {
	if n == nil {
		return
	}
	for name := range header {
		if n.Has(name) {
			delete(header, name)
		}
	}
}

func (n *Names) scrubTrailer(trailer http.Header) {
	for name := range trailer {
		if _, known := n.find(name); known {
			delete(trailer, name)
		}
	}
}

// A trailedBody is a body that may be followed by trailers, announced or not.
type trailedBody struct {
	io.ReadCloser
	names   *Names
	trailer http.Header
}

// Read removes our headers from the trailers once they have arrived.
func (b *trailedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.names.scrubTrailer(b.trailer)
	}
	return n, err
}

// namesHTTP reports whether the lists name a version of HTTP, with or without TLS, such as h2c,
// HTTP/2.0 or TLS/1.0.
func namesHTTP(values []string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(strings.ToLower(value), ",") {
			item = strings.Trim(item, " \t\"")
			if strings.HasPrefix(item, "h2") || strings.HasPrefix(item, "h3") || strings.HasPrefix(item, "http") || strings.HasPrefix(item, "tls") {
				return true
			}
		}
	}
	return false
}

// isList reports whether the header is a list of header names.
func isList(name string) bool {
	switch len(name) {
	case len("Te"), len("Trailer"), len("Connection"), len("Proxy-Connection"): // or Keep-Alive
	default:
		return false
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Connection", "Proxy-Connection", "Trailer", "Te", "Keep-Alive":
		return true
	default:
		return false
	}
}

// scrubList removes our names from the lists.
func (n *Names) scrubList(header http.Header, name string, values []string) {
	if !n.listed(values) {
		return
	}
	var kept []string
	for _, value := range values {
		var left []string
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.Trim(item, " \t"); item != "" && !n.matches(item) {
				left = append(left, item)
			}
		}
		if len(left) > 0 {
			kept = append(kept, strings.Join(left, ", "))
		}
	}
	if header[name] = kept; len(kept) == 0 {
		delete(header, name)
	}
}

func (n *Names) listed(values []string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			if n.matches(strings.Trim(item, " \t")) {
				return true
			}
		}
	}
	return false
}

// matches reports whether an item of a list is a name of ours to a lenient reader, whatever
// surrounds it.
func (n *Names) matches(item string) bool {
	item, _, _ = strings.Cut(item, ";") // as in TE: trailers;q=1
	_, known := n.find(strings.Trim(item, " \t\"'"))
	return known
}

package oauthapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
)

// maxBody is how many bytes of a body are read: two tokens at their largest, and as much as
// is left for the rest.
const maxBody = 2*jose.MaxTokenSize + 8<<10

// maxParameters is how many parameters are read.
const maxParameters = 64

// A form is the parameters of a request, in their order.
type form []parameter

type parameter struct{ name, value string }

// repeatable are the parameters of which there may be several (RFC 8693 section 2.1, RFC
// 8707 section 2). Of all others there may not (RFC 6749 section 3.2).
var repeatable = []string{"resource", "audience"}

// readForm reads the parameters of a request: from its body, and from nowhere else (RFC 6749
// sections 2.3.1 and 3.2).
func (a *API) readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	switch {
	case r.URL.RawQuery != "" || r.URL.ForceQuery:
		return nil, errQuery
	case !endpoint.IsMedia(r.Header, "application/x-www-form-urlencoded"):
		return nil, errMedia
	}
	body, err := a.bodies.Read(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	return parseForm(string(body))
}

// parseForm reads a body (RFC 6749 appendix B).
func parseForm(body string) (form, error) {
	f := make(form, 0, 8)
	for part := range strings.SplitSeq(body, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, ok := formDecode(rawName)
		value, ok2 := formDecode(rawValue)
		switch {
		case !ok || !ok2 || len(f) == maxParameters:
			return nil, errForm
		case f.has(name) && !slices.Contains(repeatable, name):
			return nil, errRepeated
		}
		f = append(f, parameter{name, value})
	}
	return f, nil
}

// formDecode decodes a name or a value; ok is false where it is encoded wrongly, or is no
// text.
func formDecode(s string) (text string, ok bool) {
	if strings.ContainsAny(s, "%+") {
		decoded, err := url.QueryUnescape(s)
		if err != nil {
			return "", false
		}
		s = decoded
	}
	return s, utf8.ValidString(s)
}

func (f form) has(name string) bool {
	return slices.ContainsFunc(f, func(p parameter) bool { return p.name == name })
}

// get returns the value of a parameter. One without a value is as good as none (RFC 6749
// section 3.2).
func (f form) get(name string) string {
	for i := range f {
		if f[i].name == name {
			return f[i].value
		}
	}
	return ""
}

// all returns the values of a parameter of which there may be several.
func (f form) all(name string) []string {
	var values []string
	for i := range f {
		if f[i].name == name && f[i].value != "" {
			values = append(values, f[i].value)
		}
	}
	return values
}

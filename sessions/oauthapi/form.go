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

// maxBody is the maximum size of a body, in bytes: two tokens of the maximum size, and some space
// for the rest.
const maxBody = 2*jose.MaxTokenSize + 8<<10

// maxParameters is the maximum number of parameters.
const maxParameters = 64

// A form is the parameters of a request. A parameter without a value counts as absent (RFC 6749
// section 3.2).
type form = url.Values

// repeatable are the parameters that may be repeated (RFC 8693 section 2.1, RFC 8707 section 2).
// All others may not (RFC 6749 section 3.2).
var repeatable = []string{"resource", "audience"}

// readForm reads the parameters of a request, only from its body (RFC 6749 sections 2.3.1 and 3.2).
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

// parseForm parses a body (RFC 6749 appendix B).
func parseForm(body string) (form, error) {
	if strings.Count(body, "&") >= maxParameters {
		return nil, errMany
	}
	f, err := url.ParseQuery(strings.ReplaceAll(body, ";", "%3B")) // the library does not accept a bare semicolon
	if err != nil {
		return nil, errForm
	}
	for name, values := range f {
		switch {
		case !utf8.ValidString(name) || slices.ContainsFunc(values, isInvalidText):
			return nil, errForm
		case len(values) > 1 && !slices.Contains(repeatable, name):
			return nil, errRepeated
		}
	}
	return f, nil
}

func isInvalidText(s string) bool { return !utf8.ValidString(s) }

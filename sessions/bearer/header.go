package bearer

import (
	"errors"
	"net/http"
	"strings"
)

// A Credential is a bearer token and where it was in the request.
type Credential struct {
	Token string
	// Header is the header that carried the token; "" for Authorization. A browser or a proxy may
	// add such a header by itself, so like a cookie it does not prove that the user intended the
	// request.
	Header string
}

// Find returns the bearer token of a request, as FromHeader does. If there is none, it looks into
// the headers of issuers that have one: exactly one of them may be present, with a single field.
func (v *Verifier) Find(h http.Header) (Credential, error) {
	token, err := FromHeader(h)
	if !errors.Is(err, ErrNoToken) {
		return Credential{Token: token}, err
	}
	var found Credential
	for _, name := range v.headers {
		values := h[name]
		if len(values) == 0 || len(values) == 1 && values[0] == "" {
			continue
		}
		if len(values) > 1 || found.Header != "" || !isToken68(values[0]) {
			return Credential{Header: name}, ErrMalformed
		}
		found = Credential{values[0], name}
	}
	if found.Header == "" {
		return Credential{}, ErrNoToken
	}
	return found, nil
}

// FromHeader returns the bearer token of a request (RFC 6750 section 2.1): one Authorization field,
// the scheme in any case, one or more spaces, one token. It returns ErrNoToken if there is no such
// field or it has another scheme, and ErrMalformed if there are several fields or credentials, or
// the token is malformed.
func FromHeader(h http.Header) (string, error) {
	fields := h.Values("Authorization")
	if len(fields) == 0 {
		return "", ErrNoToken
	}
	if len(fields) > 1 {
		return "", ErrMalformed
	}
	scheme, rest, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoToken
	}
	token := strings.TrimLeft(rest, " ")
	if !isToken68(token) {
		return "", ErrMalformed
	}
	return token, nil
}

// isToken68 reports whether s is a b64token: letters, digits and -._~+/, then any
// number of = (RFC 6750 section 2.1; RFC 9110 section 11.2).
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	var others uint8
	for i := range len(s) {
		others |= notToken68[s[i]]
	}
	return s != "" && others == 0
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// notToken68 is 1 for bytes that a b64token cannot contain.
var notToken68 = func() (others [256]uint8) {
	for c := range others {
		if strings.IndexByte(letters+"-._~+/", byte(c)) < 0 {
			others[c] = 1
		}
	}
	return others
}()

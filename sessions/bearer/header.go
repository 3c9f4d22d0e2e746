package bearer

import (
	"net/http"
	"strings"
)

// FromHeader returns the bearer token of a request (RFC 6750 section 2.1): one
// Authorization field, the scheme in any case, one or more spaces, one token.
// ErrNoToken: no such field, or another scheme. ErrMalformed: several fields or
// credentials, or what is no token.
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

// isToken68 tells whether s is a b64token: letters, digits and -._~+/, then any
// number of = (RFC 6750 section 2.1; RFC 9110 section 11.2).
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !token68[s[i]] {
			return false
		}
	}
	return s != ""
}

var token68 = func() (alphabet [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		alphabet[c] = true
	}
	return alphabet
}()

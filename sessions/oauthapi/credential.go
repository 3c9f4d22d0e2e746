package oauthapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// assertionType is the only type of client assertions (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// A credential is how a client identifies itself: a secret, an assertion, or only its id.
type credential struct {
	id        string // "" if only the assertion contains it
	secret    string
	assertion string
}

// credentialOf returns the credential of a request, which must be the only one (RFC 6749 section
// 2.3).
func credentialOf(header http.Header, f form) (credential, error) {
	c := credential{id: f.Get("client_id"), secret: f.Get("client_secret"), assertion: f.Get("client_assertion")}
	fields := header["Authorization"]
	asserted := c.assertion != "" || f.Get("client_assertion_type") != ""
	switch {
	case len(fields) > 1, len(fields) == 1 && (c.secret != "" || asserted), c.secret != "" && asserted:
		return c, errMethods
	case asserted && (c.assertion == "" || f.Get("client_assertion_type") != assertionType):
		return c, errClient
	case len(fields) == 0:
		return c, nil
	}
	id, secret, ok := parseBasic(fields[0])
	switch {
	case !ok:
		return c, errClient
	case c.id != "" && c.id != id:
		return c, errClientID
	}
	return credential{id: id, secret: secret}, nil
}

// parseBasic parses an Authorization field with the scheme Basic, in which the client's id and
// secret are form-encoded (RFC 6749 section 2.3.1; RFC 7617 section 2).
func parseBasic(field string) (id, secret string, ok bool) {
	scheme, rest, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "Basic") || strings.ContainsAny(rest, "\r\n") { // the library would skip line breaks
		return "", "", false
	}
	data, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(rest, " "))
	if err != nil {
		return "", "", false
	}
	rawID, rawSecret, found := strings.Cut(string(data), ":")
	id, errID := url.QueryUnescape(rawID)
	secret, errSecret := url.QueryUnescape(rawSecret)
	return id, secret, found && errID == nil && errSecret == nil && utf8.ValidString(id) && utf8.ValidString(secret) && id != ""
}

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

// A credential is by what a client says who it is: a secret, an assertion, or its name alone.
type credential struct {
	id        string // "" where only the assertion says it
	secret    string
	assertion string
}

// credentialOf finds the one credential of a request (RFC 6749 section 2.3).
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

// parseBasic reads an Authorization field of the scheme Basic, in which a client encodes its
// name and its secret as a form's (RFC 6749 section 2.3.1; RFC 7617 section 2).
func parseBasic(field string) (id, secret string, ok bool) {
	scheme, rest, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "Basic") || strings.ContainsAny(rest, "\r\n") { // which the library would skip
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

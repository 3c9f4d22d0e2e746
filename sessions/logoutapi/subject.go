package logoutapi

import (
	"slices"

	"authsidecar/sessions/bearer"
)

// A subject is the user that a token is about, in the terms of its issuer.
type subject struct {
	sub   string // their "sub"
	sid   string // one of their sessions
	email string
	other string // an unknown format
}

// describe returns which identifiers a subject has, for people to read.
func (s *subject) describe() string {
	switch {
	case s.sub != "" && s.sid != "":
		return "sub and sid"
	case s.sub != "":
		return "sub"
	case s.sid != "":
		return "sid"
	case s.email != "":
		return "email"
	case s.other != "":
		return "a subject of the format " + s.other
	default:
		return "no subject"
	}
}

// subjectOf returns the subject of an event: "sub_id" of the token (RFC 9493 section 4), or else
// "subject" of the event, as in earlier drafts, or else "sub" of the token. A subject of another
// issuer is an error.
func subjectOf(s *bearer.Signed, event any) (subject, error) {
	if id, ok := s.Claims["sub_id"].(map[string]any); ok {
		return readSubject(s, id)
	}
	if payload, ok := event.(map[string]any); ok {
		if id, ok := payload["subject"].(map[string]any); ok {
			return readSubject(s, id)
		}
	}
	return subject{sub: text(s.Claims["sub"]), sid: text(s.Claims["sid"])}, nil
}

// readSubject parses a subject identifier (RFC 9493 section 3); drafts called its format
// "subject_type".
func readSubject(s *bearer.Signed, id map[string]any) (subject, error) {
	format := text(id["format"])
	if format == "" {
		format = text(id["subject_type"])
	}
	user, isComplex := id["user"].(map[string]any)
	switch {
	case format == "complex", format == "" && isComplex: // OpenID Shared Signals Framework 1.0 section 3.2
		return readComplex(s, user, id["session"])
	case format == "iss_sub", format == "iss-sub", format == "id_token_claims":
		if !slices.Contains(s.Names, text(id["iss"])) {
			return subject{}, refuse(errSubject, "its subject is of another issuer", "write the other name of the issuer in the trust: issuers <name>")
		}
		return subject{sub: text(id["sub"]), other: format}, nil
	case format == "email":
		return subject{email: text(id["email"]), other: format}, nil
	case format == "opaque":
		return subject{sub: text(id["id"]), other: format}, nil
	default:
		return subject{other: knownFormat(format)}, nil
	}
}

// knownFormat returns a format of RFC 9493 or of its drafts, and "" for any other: no other text of
// a token is logged.
func knownFormat(format string) string {
	if slices.Contains([]string{"account", "aliases", "did", "phone_number", "uri", "jwt_id", "saml_assertion_id", "ip-addresses"}, format) {
		return format
	}
	return "unknown"
}

// readComplex parses a subject that is a user, one of their sessions, or both. Devices and
// applications are unknown here: a subject with one means the whole user.
func readComplex(s *bearer.Signed, user map[string]any, session any) (found subject, err error) {
	if user != nil {
		found, err = readSubject(s, user)
	}
	if of, ok := session.(map[string]any); ok && err == nil && text(of["format"]) == "opaque" {
		found.sid = text(of["id"])
	}
	if found == (subject{}) {
		found.other = "complex"
	}
	return found, err
}

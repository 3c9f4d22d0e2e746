package jose

import (
	"fmt"
	"strings"

	"authsidecar/sessions/strictjson"
)

// A Header is what a token says of itself (RFC 7515 section 4.1). Type, KeyID and
// ContentType are "" where the member is absent; where it is there, it is not
// empty, but for KeyID: an empty "kid" names no key.
//
// Members that say what must be understood (crit) or that change what is signed
// (b64, RFC 7797) are refused. All others are ignored, as RFC 7515 section 4 says:
// those that are unknown, and those that bring or name a key (jwk, jku, x5u, x5c,
// x5t), which select none and are not looked at.
type Header struct{ Algorithm, KeyID, Type, ContentType string }

// maxHeaderDepth is enough for a jwk, which is the deepest of the known members.
const maxHeaderDepth = 8

func parseHeader(data []byte) (h Header, err error) {
	members, err := strictjson.Members(data, maxHeaderDepth)
	if err != nil {
		return h, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	for _, member := range members {
		var into *string
		switch member.Name {
		case "alg":
			into = &h.Algorithm
		case "kid":
			into = &h.KeyID
		case "typ":
			into = &h.Type
		case "cty":
			into = &h.ContentType
		case "crit":
			return h, ErrCritical
		case "b64":
			return h, ErrHeaderMember
		default:
			continue
		}
		if *into, err = headerText(&member); err != nil {
			return h, err
		}
		if *into == "" && member.Name != "kid" {
			return h, fmt.Errorf("%w: a member is an empty string", ErrHeader)
		}
	}
	if _, err := ParseAlgorithm(h.Algorithm); err != nil {
		return h, err
	}
	if isToken(h.ContentType) {
		return h, ErrNested
	}
	return h, nil
}

func headerText(member *strictjson.Member) (string, error) {
	text, ok := member.Text()
	if !ok || len(text) > maxIDSize {
		return "", fmt.Errorf("%w: a member is not a string of up to %d bytes", ErrHeader, maxIDSize)
	}
	return text, nil
}

// isToken reports whether a content type is that of a token (RFC 7519 section 5.2).
func isToken(contentType string) bool {
	name := strings.TrimPrefix(strings.ToLower(contentType), "application/")
	return name == "jwt" || name == "jose" || strings.HasSuffix(name, "+jwt")
}

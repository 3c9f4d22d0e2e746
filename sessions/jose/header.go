package jose

import (
	"fmt"
	"strings"

	"authsidecar/sessions/strictjson"
)

// A Header is what a token says of itself (RFC 7515 section 4.1). Type, KeyID and
// ContentType are "" where the member is absent; where it is there, it is not
// empty.
//
// Other members are refused: those that bring or name a key (jwk, jku, x5u, x5c),
// that change what is signed (b64), that say what must be understood (crit), and
// all that are unknown. x5t and x5t#S256 stand beside kid in the tokens of some
// issuers: they are ignored.
type Header struct{ Algorithm, KeyID, Type, ContentType string }

// maxHeaderDepth is enough to tell a header that is not allowed from one that is
// not JSON.
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
		case "x5t", "x5t#S256":
			into = new(string)
		case "crit":
			return h, ErrCritical
		default:
			return h, ErrHeaderMember
		}
		if *into, err = headerText(&member); err != nil {
			return h, err
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
	if !ok || text == "" || len(text) > maxIDSize {
		return "", fmt.Errorf("%w: a member is not a string of 1 to %d bytes", ErrHeader, maxIDSize)
	}
	return text, nil
}

// isToken tells whether a content type is that of a token (RFC 7519 section 5.2).
func isToken(contentType string) bool {
	name := strings.TrimPrefix(strings.ToLower(contentType), "application/")
	return name == "jwt" || name == "jose" || strings.HasSuffix(name, "+jwt")
}

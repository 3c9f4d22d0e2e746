package jose

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions/strictjson"
)

// A Header is the header of a token (RFC 7515 section 4.1). Type, KeyID and ContentType are "" if
// the member is absent. A member that is present is not empty, except KeyID: an empty "kid" names
// no key.
//
// Members that require support for an extension (crit) or change what is signed (b64, RFC 7797) are
// refused. All others are ignored, as RFC 7515 section 4 requires: unknown ones, and those that
// contain or name a key (jwk, jku, x5u, x5c, x5t), which are never used.
type Header struct{ Algorithm, KeyID, Type, ContentType string }

// maxHeaderDepth suffices for jwk, the most deeply nested of the known members.
const maxHeaderDepth = 8

func parseHeader(data []byte) (h Header, err error) {
	var members struct {
		Algorithm   strictjson.Text `json:"alg"`
		KeyID       strictjson.Text `json:"kid"`
		Type        strictjson.Text `json:"typ"`
		ContentType strictjson.Text `json:"cty"`
		Critical    jsontext.Value  `json:"crit"`
		Base64      jsontext.Value  `json:"b64"`
	}
	if err := strictjson.Unmarshal(data, maxHeaderDepth, &members); err != nil {
		return h, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	for _, text := range []*strictjson.Text{&members.Algorithm, &members.KeyID, &members.Type, &members.ContentType} {
		if len(text.String) > maxIDSize {
			return h, fmt.Errorf("%w: a member has more than %d bytes", ErrHeader, maxIDSize)
		}
		if text.Present && text.String == "" && text != &members.KeyID {
			return h, fmt.Errorf("%w: a member is an empty string", ErrHeader)
		}
	}
	h = Header{members.Algorithm.String, members.KeyID.String, members.Type.String, members.ContentType.String}
	_, err = ParseAlgorithm(h.Algorithm)
	switch {
	case members.Critical != nil:
		return h, ErrCritical
	case members.Base64 != nil:
		return h, ErrHeaderMember
	case err != nil:
		return h, err
	case isToken(h.ContentType):
		return h, ErrNested
	default:
		return h, nil
	}
}

// isToken reports whether a content type is that of a token (RFC 7519 section 5.2).
func isToken(contentType string) bool {
	name := strings.TrimPrefix(strings.ToLower(contentType), "application/")
	return name == "jwt" || name == "jose" || strings.HasSuffix(name, "+jwt")
}

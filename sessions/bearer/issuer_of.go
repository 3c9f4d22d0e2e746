package bearer

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions/jose"
)

// maxClaimed is how large a token may be to be asked whose it says it is: of those that
// are too large to be verified some still name their issuer.
const maxClaimed = 4 * jose.MaxTokenSize

// IssuerOf returns the "iss" that a token claims to have, verified by nobody; ""
// if it has none. It reads tokens that Verify refuses for their form, too: to
// mistake a broken token of somebody's for none of theirs would be the worse error.
func (v *Verifier) IssuerOf(token string) string {
	if len(token) > maxClaimed {
		return ""
	}
	parts := strings.Split(token, ".")
	if len(parts) < 2 {
		return ""
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(data, &claims, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return ""
	}
	return claims.Issuer
}

// attributed says in a refusal whose the token claims to be, which is of no form that can
// be verified.
func (v *Verifier) attributed(r *Refusal, token string) error {
	name := v.IssuerOf(token)
	if from, ok := v.source(name); ok {
		r.Issuer = from.Name
	} else {
		r.Claimed = name
	}
	return r
}

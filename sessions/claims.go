package sessions

import (
	"slices"
	"strings"

	"authsidecar/sessions/strictjson"
)

// maxClaimsDepth bounds how deep claims nest.
const maxClaimsDepth = 64

// UnmarshalJSON decodes a JSON object, strictly. Numbers that are whole and fit become
// int64, all others float64: so a claim is the same however often it is written and read.
func (c *Claims) UnmarshalJSON(data []byte) error {
	claims, err := strictjson.Object(data, maxClaimsDepth)
	if err != nil {
		return err
	}
	*c = claims
	return nil
}

// scopeClaims are the claims that hold scope values: that of RFC 8693 section 4.2, and
// what some issuers call it.
var scopeClaims = []string{"scope", "scp", "scopes"}

// Scopes returns the scope values of a token: those of the first of its claims scope,
// scp and scopes that has any, as one string or as an array.
func (c Claims) Scopes() []string {
	for _, name := range scopeClaims {
		var scopes []string
		switch v := c[name].(type) {
		case string:
			scopes = slices.DeleteFunc(strings.Split(v, " "), func(s string) bool { return s == "" })
		case []any:
			for _, item := range v {
				if s, ok := item.(string); ok && s != "" {
					scopes = append(scopes, s)
				}
			}
		}
		if len(scopes) > 0 {
			return scopes
		}
	}
	return nil
}

package sessions

import (
	"slices"
	"strconv"
	"strings"

	"authsidecar/sessions/strictjson"
)

// Claims is a decoded JSON object of claims. The values are nil, bool, string,
// int64 (whole numbers that fit), float64 (all others), []any and
// map[string]any. It is shared by all who see the caller: never changed.
type Claims map[string]any

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

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// Find returns the claim of that name. A name that starts with "/" is a JSON
// pointer (RFC 6901) into nested claims.
func (c Claims) Find(name string) (any, bool) {
	if !strings.HasPrefix(name, "/") {
		value, ok := c[name]
		return value, ok
	}
	var at any = map[string]any(c)
	for part := range strings.SplitSeq(name[1:], "/") {
		part = unescapePointer.Replace(part)
		switch node := at.(type) {
		case map[string]any:
			next, ok := node[part]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(node) || strconv.Itoa(i) != part {
				return nil, false
			}
			at = node[i]
		default:
			return nil, false
		}
	}
	return at, true
}

// topLevel returns the top-level claim that a name or pointer leads into.
func topLevel(name string) string {
	if !strings.HasPrefix(name, "/") {
		return name
	}
	first, _, _ := strings.Cut(name[1:], "/")
	return unescapePointer.Replace(first)
}

// reserved are claims that say what a token is, whose, for whom, until when, or what it
// is good for: what another issuer says of its own token is not true of ours. They are
// those of RFC 7519 section 4.1, RFC 9068 section 2.2, RFC 8693 section 4, RFC 7800, RFC
// 8417, OpenID Connect Core 1.0 section 2, ours, and what others call them.
var reserved = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti",
	"client_id", "scope", "scp", "scopes", "azp", "cid", "appid", "gty", "idtyp",
	"act", "may_act", "cnf", "events", "sub_id", "toe", "txn",
	"nonce", "auth_time", "at_hash", "c_hash", "s_hash", "typ", "token_use",
	"sid", "sid_iat", "store", "reason", "gen", "rnd",
}

// ReservedClaim reports whether a claim of that name is never kept of a caller's token. In
// any case: there are readers that take the one for the other.
func ReservedClaim(name string) bool {
	return slices.ContainsFunc(reserved, func(known string) bool { return strings.EqualFold(known, name) })
}

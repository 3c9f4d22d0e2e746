package sessions

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions/strictjson"
)

// Claims is a decoded JSON object of claims. Values are nil, bool, string, int64 (whole numbers
// that fit), float64 (all other numbers), []any and map[string]any. Claims are shared and must not
// be modified.
type Claims map[string]any

// maxClaimsDepth limits the nesting of claims.
const maxClaimsDepth = 64

// UnmarshalJSON decodes a JSON object strictly. Whole numbers that fit become int64 and all others
// float64, so that a claim stays the same however often it is written and read.
func (c *Claims) UnmarshalJSON(data []byte) error {
	claims, err := strictjson.Object(data, maxClaimsDepth)
	if err != nil {
		return err
	}
	*c = claims
	return nil
}

// scopeClaims are the claims that hold scope values: the one of RFC 8693 section 4.2, and the names
// that some issuers use instead.
var scopeClaims = []string{"scope", "scp", "scopes"}

// Scopes returns the scope values of a token, from the first of the claims scope, scp and scopes
// that has any. The claim may be a string or an array.
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

// topLevel returns the top-level claim that a name or pointer refers to.
func topLevel(name string) string {
	if !strings.HasPrefix(name, "/") {
		return name
	}
	first, _, _ := strings.Cut(name[1:], "/")
	return unescapePointer.Replace(first)
}

// reserved are claims that identify a token, its subject, audience, lifetime or rights: another
// issuer's values do not apply to our tokens. They come from RFC 7519 section 4.1, RFC 9068 section
// 2.2, RFC 8693 section 4, RFC 7800, RFC 8417 and OpenID Connect Core 1.0 section 2; the rest are
// our own, and other issuers' names for the same.
var reserved = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti",
	"client_id", "scope", "scp", "scopes", "azp", "cid", "appid", "gty", "idtyp",
	"act", "may_act", "cnf", "events", "sub_id", "toe", "txn",
	"nonce", "auth_time", "at_hash", "c_hash", "s_hash", "typ", "token_use",
	"sid", "sid_iat", "store", "reason", "gen", "rnd",
}

// ReservedClaim reports whether a session never keeps this claim of the caller's token. It ignores
// case, since some JSON readers do too.
func ReservedClaim(name string) bool {
	return slices.ContainsFunc(reserved, func(known string) bool { return strings.EqualFold(known, name) })
}

// maxKept is the maximum size, as JSON in bytes, of the claims that a session keeps of its user's
// token.
const maxKept = 4096

// maxKeptInCookies is the same for tokens in cookies, which are limited to 4096 bytes.
const maxKeptInCookies = 1536

// kept returns the claims that a session keeps of a token, and when the token was issued. kept is
// nil if there are none; ErrKept means that they are larger than most bytes.
func (c Claims) kept(names []string, most int, now time.Time) (kept Claims, at time.Time, err error) {
	for _, name := range names {
		value, has := c[name]
		if !has || value == nil {
			continue
		}
		if kept == nil {
			kept = Claims{}
		}
		kept[name] = value
	}
	if kept == nil {
		return nil, at, nil
	}
	if data, err := json.Marshal(kept, jsontext.AllowInvalidUTF8(true), jsontext.EscapeForJS(true)); err != nil || len(data) > most {
		return nil, at, ErrKept
	}
	if issued, ok := c["iat"].(int64); ok && issued < now.Unix() {
		now = time.Unix(max(issued, 0), 0).UTC()
	}
	return kept, now, nil
}

// HasScope is a condition: the caller's token has this scope value.
type HasScope string

// Holds reports whether the caller has the scope.
func (s HasScope) Holds(in *RuleInput) bool {
	return slices.Contains(in.Caller.Scopes, string(s))
}

// Claims returns the claims that scopes are read from.
func (HasScope) Claims() ([]string, bool) { return slices.Clone(scopeClaims), false }

// PerSession returns false: only the caller counts.
func (HasScope) PerSession() bool { return false }

// HasClaim is a condition on the claim Name: it is Value, an array that contains Value, or an
// object with the key Value whose value is neither false nor null. A Name that starts with "/" is a
// JSON pointer (RFC 6901). Numbers and booleans are compared in their JSON form.
type HasClaim struct{ Name, Value string }

// Holds reports whether the caller has the claim.
func (h HasClaim) Holds(in *RuleInput) bool {
	value, ok := in.Caller.Claims.Find(h.Name)
	if !ok {
		return false
	}
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, h.matches)
	case map[string]any:
		member := value[h.Value]
		return member != nil && member != any(false)
	default:
		return h.matches(value)
	}
}

func (h HasClaim) matches(value any) bool {
	text, ok := scalar(value)
	return ok && text == h.Value
}

// Claims returns the top-level claim of Name.
func (h HasClaim) Claims() ([]string, bool) {
	return []string{topLevel(h.Name)}, false
}

// PerSession returns false: only the caller counts.
func (HasClaim) PerSession() bool { return false }

func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool, int64, float64:
		return fmt.Sprint(v), true
	default:
		return "", false
	}
}

// Interface guards
var (
	_ Condition = HasScope("")
	_ Condition = HasClaim{}
)

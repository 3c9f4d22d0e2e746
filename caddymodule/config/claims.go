package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
)

// Claims says which claims users' own sessions keep of the tokens that they were created with.
type Claims struct {
	// The names of the claims that sessions keep, and that access tokens have, also after a
	// refresh: at most 4 KiB as JSON. At least one is required.
	Names []string `json:"names"`

	// How long after the caller's token was issued its claims are passed on, since they are never
	// fetched again. At most 30 days. Default: 1 day.
	MaxAge caddy.Duration `json:"max_age,omitempty" example:"1d"`
}

// maxClaimsAge is the maximum of max_age.
const maxClaimsAge = 30 * day

func (c *Claims) setDefaults() { c.MaxAge = cmp.Or(c.MaxAge, caddy.Duration(day)) }

func (b *Block) checkClaims() error {
	c := b.Claims
	if c == nil {
		return nil
	}
	if err := checkList("claims", "claims", append([]string{}, c.Names...)); err != nil { // not nil, since it is required
		return err
	}
	for _, name := range c.Names {
		switch {
		case sessions.ReservedClaim(name):
			return wrong("claims", "claims %s: our tokens have a claim of that name that is not what the caller's says, or none at all: remove it", name)
		case strings.HasPrefix(name, "/") || len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return wrong("claims", "claims %q: name whole claims: nested ones are kept with what they are in, and a header finds them by a JSON pointer", name)
		}
	}
	if c.MaxAge < 0 || c.MaxAge > caddy.Duration(maxClaimsAge) {
		return wrong("claims.max_age", "claims: max_age is %s: write more than 0s and at most %s", formatDuration(c.MaxAge), formatDuration(caddy.Duration(maxClaimsAge)))
	}
	return nil
}

// KeptClaims returns the names of the claims to keep, and for how long.
func (b *Block) KeptClaims() (names []string, age time.Duration) {
	c := cmp.Or(b.Claims, new(Claims))
	return c.Names, time.Duration(c.MaxAge)
}

// ownClaims are the claims that our access tokens always have.
var ownClaims = []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "sid", "sid_iat", "act", "reason"}

// warnClaims warns about claims that are passed on for a long time, and about headers for claims
// that our tokens never have.
func (b *Block) warnClaims() (found []string) {
	names, age := b.KeptClaims()
	if age > day {
		found = append(found, "claims: max_age is "+formatDuration(caddy.Duration(age))+": whoever loses a group at the identity provider still has it here for that long; write at most 1d, unless you have to")
	}
	if b.Identity == nil {
		return found
	}
	for _, header := range b.Identity.Headers {
		claim, ok := forward.Field(header.Field).Claim()
		shown, near := "identity: header "+header.Name+" "+header.Field, Nearest(header.Field, forward.FieldNames())
		switch {
		case !ok || slices.Contains(names, claim) || slices.Contains(ownClaims, claim):
		case near != "":
			found = append(found, shown+": "+claim+" is taken for the name of a claim; did you mean "+near+"?")
		case !b.Identity.AcceptCallers:
			found = append(found, shown+" is always empty: our access tokens have no such claim; keep it of the callers' tokens with: claims "+claim)
		}
	}
	return found
}

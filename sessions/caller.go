package sessions

import (
	"cmp"
	"slices"
	"time"
)

// A Caller is a party whose bearer JWT was verified.
type Caller struct {
	Principal
	// Trust is what rules call the issuer; "" for its own name. See From.
	Trust string
	// ClientID is the token's client_id (RFC 9068), else its azp.
	ClientID string
	// Scopes are the values of the token's scope (RFC 8693 section 4.2), as
	// Claims.Scopes reads it.
	Scopes []string
	// User means that the subjects of this issuer are this app's user ids, those
	// of machines apart: see IsUser.
	User bool
	// Own means that the token is an access token of ours, of the session
	// SessionID.
	Own       bool
	SessionID string
	// Acting means that the token has an act claim: somebody uses it for its
	// subject, who is not the one calling.
	Acting bool
	// Actor is who uses it, as its act claim says (RFC 8693 section 4.1).
	Actor Principal
	// SessionCreated is when the session of our own token was created.
	SessionCreated time.Time
	// StoreID is the identity of the store that our own token was minted with; "" where it
	// says none.
	StoreID string
	// Claims are all claims of the token; where recorded is set, those that a row
	// recorded of a caller who is not here.
	Claims Claims
	// recorded is nil where the token is here.
	recorded *recorded
	// ExpiresAt is when the token ends, without leeway.
	ExpiresAt time.Time
}

// recorded is what a row knows beside the claims that it recorded.
type recorded struct {
	// Absent are claims that the token did not have.
	Absent []string
	// Whole means that the token had no claims but those that were recorded.
	Whole bool
}

// knows reports whether it is known what the caller's token said of all that the
// condition looks at: a condition is not asked about less. Where a claim is not there it
// may hold for that very reason, and where it was not recorded it must not.
func (c *Caller) knows(when Condition) bool {
	if c.recorded == nil || c.recorded.Whole {
		return true
	}
	names, all := when.Claims()
	return !all && !slices.ContainsFunc(names, func(name string) bool {
		_, has := c.Claims[name]
		return !has && !slices.Contains(c.recorded.Absent, name)
	})
}

// From returns what rules call the issuer of the caller: the name that all of its
// spellings have in the configuration, and its own otherwise.
func (c *Caller) From() string { return cmp.Or(c.Trust, c.Issuer) }

// sub returns the "sub" of the token where another claim names the caller; "" where it
// is the same, or none that can be one.
func (c *Caller) sub() string {
	sub, _ := c.Claims["sub"].(string)
	if sub == c.Subject || len(sub) > maxUserID {
		return ""
	}
	return sub
}

// sid returns the "sid" of the token of an issuer's session (OpenID Connect Front-Channel
// Logout 1.0 section 3); "" where there is none that can be kept.
func (c *Caller) sid() string {
	if sid, _ := c.Claims["sid"].(string); len(sid) <= maxSID {
		return sid
	}
	return ""
}

// maxSID is how many bytes of an issuer's session id are kept.
const maxSID = 255

// Claims is a decoded JSON object of claims. The values are nil, bool, string,
// int64 (whole numbers that fit), float64 (all others), []any and
// map[string]any. It is shared by all who see the caller: never changed.
type Claims map[string]any

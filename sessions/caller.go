package sessions

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
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
	// Generation is that of our own token, where it is of a session whose tokens live in
	// cookies; else 0.
	Generation uint64
	// Arrived is whether the store knows that Generation arrived, or is being told: see
	// Manager.Confirm. nil where there is nothing to tell.
	Arrived *atomic.Bool
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
	// What sub, sid and AuthAt said of it.
	sub, sid string
	authAt   time.Time
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

// Unconfirmed reports whether Manager.Confirm has something to do.
func (c *Caller) Unconfirmed() bool { return c.Arrived != nil && !c.Arrived.Load() }

// From returns what rules call the issuer of the caller: the name that all of its
// spellings have in the configuration, and its own otherwise.
func (c *Caller) From() string { return cmp.Or(c.Trust, c.Issuer) }

// sub returns the "sub" of the token where another claim names the caller; "" where it
// is the same, or none that can be one.
func (c *Caller) sub() string {
	if c.recorded != nil {
		return c.recorded.sub
	}
	sub, _ := c.Claims["sub"].(string)
	if sub == c.Subject || len(sub) > maxUserID {
		return ""
	}
	return sub
}

// sid returns the "sid" of the token of an issuer's session (OpenID Connect Front-Channel
// Logout 1.0 section 3); "" where there is none that can be kept.
func (c *Caller) sid() string {
	if c.recorded != nil {
		return c.recorded.sid
	}
	if sid, _ := c.Claims["sid"].(string); len(sid) <= maxSID {
		return sid
	}
	return ""
}

// AuthAt returns when the caller authenticated at the issuer, as far as the token says:
// "auth_time" (OpenID Connect Core 1.0 section 2), else "iat", in whole seconds. Zero: it
// says neither.
func (c *Caller) AuthAt() time.Time {
	if c.recorded != nil {
		return c.recorded.authAt
	}
	for _, name := range [...]string{"auth_time", "iat"} {
		switch n := c.Claims[name].(type) {
		case int64:
			if n > 0 && n <= maxSeconds {
				return time.Unix(n, 0).UTC()
			}
		case float64:
			if n >= 1 && n <= maxSeconds {
				return time.Unix(int64(n), 0).UTC()
			}
		}
	}
	return time.Time{}
}

// maxSeconds is the last second of the year 9999.
const maxSeconds = 253_402_300_799

// maxSID is how many bytes of an issuer's session id are kept.
const maxSID = 255

// satisfies reports whether a condition that looks at the caller alone is known to hold.
func (c *Caller) satisfies(when Condition) bool {
	return c.knows(when) && when.Holds(&RuleInput{Caller: c})
}

// clientClaims name the client that a token was issued to, as issuers call it. Where
// the subject is that client there is no user behind the token (RFC 9068 section 5,
// RFC 9700 section 4.15).
var clientClaims = [...]string{"client_id", "azp", "cid", "appid"}

// serviceAccount begins the names that Keycloak gives the accounts of clients, and clients ends
// those of Auth0.
const (
	serviceAccount = "service-account-"
	clients        = "@clients"
)

// IsUser reports whether the caller is a user of this app: of an issuer whose subjects
// are its users, and a person.
func (c *Caller) IsUser() bool { return c.User && !c.IsMachine() }

// IsMachine reports whether a token of a trusted issuer says that a machine holds it.
// It does where
//   - its subject is its own client, which client_id, azp, cid or appid names,
//   - client credentials are what it was granted for: gty, of Auth0 and FusionAuth,
//   - it is an app's: idtyp, of Entra ID,
//   - its subject ends in @clients, as those of Auth0 do,
//   - its subject or preferred_username begins with service-account-, as those of
//     Keycloak do.
//
// All of that in any case: who is taken for a machine can only do less.
func (c *Caller) IsMachine() bool {
	// Where the caller is known by another claim, sub is another name of theirs.
	sub, _ := c.Claims["sub"].(string)
	name, _ := c.Claims["preferred_username"].(string)
	return c.isClient(c.Subject) || c.isClient(sub) || hasPrefix(name, serviceAccount) ||
		isWord(c.Claims["idtyp"], "app") || clientCredentials(c.Claims["gty"])
}

// isClient reports whether the subject is that of a client.
func (c *Caller) isClient(subject string) bool {
	if subject == "" {
		return false
	}
	for _, name := range clientClaims {
		if client, ok := scalar(c.Claims[name]); ok && strings.EqualFold(client, subject) {
			return true
		}
	}
	at := max(0, len(subject)-len(clients))
	return strings.EqualFold(subject, c.ClientID) || strings.EqualFold(subject[at:], clients) || hasPrefix(subject, serviceAccount)
}

// clientCredentials reports whether a type of grants, or one in a list, is that one.
func clientCredentials(gty any) bool {
	if list, ok := gty.([]any); ok {
		return slices.ContainsFunc(list, clientCredentials)
	}
	return isWord(gty, "client-credentials") || isWord(gty, "client_credentials")
}

// isWord reports whether a claim is that word, in any case.
func isWord(claim any, word string) bool {
	text, ok := claim.(string)
	return ok && strings.EqualFold(text, word)
}

// hasPrefix reports whether a text begins with that, in any case.
func hasPrefix(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

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
	// Trust is the name that rules use for the issuer; "" means Issuer itself. See From.
	Trust string
	// ClientID is the token's client_id (RFC 9068), or else its azp.
	ClientID string
	// Scopes are the scope values of the token (RFC 8693 section 4.2): see Claims.Scopes.
	Scopes []string
	// User means that the subjects of this issuer, except those of machines, are user ids of this
	// app: see IsUser.
	User bool
	// Own means that the token is one of our own access tokens, for the session SessionID.
	Own       bool
	SessionID string
	// Acting means that the token has an act claim: another party uses it on behalf of its subject.
	Acting bool
	// Actor is that other party, from the act claim (RFC 8693 section 4.1).
	Actor Principal
	// SessionCreated is when the session was created, for one of our own tokens.
	SessionCreated time.Time
	// StoreID is the identity of the store that our own token was minted with; "" if the token does
	// not name it.
	StoreID string
	// Generation is the generation of our own token if the session's tokens live in cookies; 0
	// otherwise.
	Generation uint64
	// Arrived reports whether the store already knows, or is being told, that the client received
	// Generation: see Manager.Confirm. It is nil if there is nothing to confirm.
	Arrived *atomic.Bool
	// Claims are all claims of the token. If recorded is set, the caller is read from a row, and
	// Claims are only those that the row recorded.
	Claims Claims
	// recorded is nil if the token itself was presented.
	recorded *recorded
	// ExpiresAt is when the token expires, without leeway.
	ExpiresAt time.Time
}

// recorded is what a row recorded of a caller, in addition to claims.
type recorded struct {
	// Absent are names of claims that the token did not have.
	Absent []string
	// Whole means that the row recorded all claims of the token.
	Whole bool
	// What sub, sid and AuthAt returned for the token.
	sub, sid string
	authAt   time.Time
}

// knowsClaims reports whether every claim that the condition reads is known, present or absent. A
// condition must not be evaluated otherwise: it may hold because a claim is absent, and an
// unrecorded claim must not count as absent.
func (c *Caller) knowsClaims(when Condition) bool {
	if c.recorded == nil || c.recorded.Whole {
		return true
	}
	names, all := when.Claims()
	return !all && !slices.ContainsFunc(names, func(name string) bool {
		_, has := c.Claims[name]
		return !has && !slices.Contains(c.recorded.Absent, name)
	})
}

// Unconfirmed reports whether Manager.Confirm has something to record.
func (c *Caller) Unconfirmed() bool { return c.Arrived != nil && !c.Arrived.Load() }

// From returns the name that rules use for the caller's issuer: the configured name if the issuer
// has several spellings, and otherwise the issuer itself.
func (c *Caller) From() string { return cmp.Or(c.Trust, c.Issuer) }

// sub returns the "sub" of the token if another claim identifies the caller; "" if it is the same
// or not acceptable.
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

// sid returns the "sid" of the token, which names the session at the issuer (OpenID Connect
// Front-Channel Logout 1.0 section 3); "" if it is missing or not acceptable.
func (c *Caller) sid() string {
	if c.recorded != nil {
		return c.recorded.sid
	}
	if sid, _ := c.Claims["sid"].(string); len(sid) <= maxSID {
		return sid
	}
	return ""
}

// AuthAt returns when the caller authenticated at the issuer, in whole seconds: "auth_time" (OpenID
// Connect Core 1.0 section 2), or else "iat". It is zero if the token has neither.
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

// maxSID is the maximum length of an issuer's session id, in bytes; longer ones are not stored.
const maxSID = 255

// satisfies reports whether the condition, which depends only on the caller, is known to hold.
func (c *Caller) satisfies(when Condition) bool {
	return c.knowsClaims(when) && when.Holds(&RuleInput{Caller: c})
}

// clientClaims are the claims in which issuers name the client that a token was issued to. If the
// subject is that client, there is no user behind the token (RFC 9068 section 5, RFC 9700 section
// 4.15).
var clientClaims = [...]string{"client_id", "azp", "cid", "appid"}

// serviceAccount is the prefix of Keycloak's service accounts, and clients the suffix of Auth0's.
const (
	serviceAccount = "service-account-"
	clients        = "@clients"
)

// IsUser reports whether the caller is a user of this app: their issuer's subjects are its users,
// and they are not a machine.
func (c *Caller) IsUser() bool { return c.User && !c.IsMachine() }

// IsMachine reports whether a token of a trusted issuer was issued to a machine. That is the case
// if
//   - the subject is the client itself, as named by client_id, azp, cid or appid,
//   - gty says that the grant was client credentials (Auth0, FusionAuth),
//   - idtyp says that it is an app (Entra ID),
//   - the subject ends in @clients (Auth0),
//   - the subject or preferred_username begins with service-account- (Keycloak).
//
// All comparisons ignore case: being mistaken for a machine only takes rights away.
func (c *Caller) IsMachine() bool {
	// If another claim identifies the caller, sub is also one of their names.
	sub, _ := c.Claims["sub"].(string)
	name, _ := c.Claims["preferred_username"].(string)
	return c.isClient(c.Subject) || c.isClient(sub) || hasPrefix(name, serviceAccount) ||
		isWord(c.Claims["idtyp"], "app") || clientCredentials(c.Claims["gty"])
}

// isClient reports whether the subject identifies a client.
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

// clientCredentials reports whether a grant type, or one in a list, is client credentials.
func clientCredentials(gty any) bool {
	if list, ok := gty.([]any); ok {
		return slices.ContainsFunc(list, clientCredentials)
	}
	return isWord(gty, "client-credentials") || isWord(gty, "client_credentials")
}

// isWord reports whether a claim is this word, in any case.
func isWord(claim any, word string) bool {
	text, ok := claim.(string)
	return ok && strings.EqualFold(text, word)
}

// hasPrefix reports whether text begins with prefix, in any case.
func hasPrefix(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// A Trust is the configuration for the callers of an issuer, apart from how their tokens are
// verified.
type Trust struct {
	// Name is the name that rules use for the issuer (Rule.From): one for all of its spellings, and
	// one for each of its tenants.
	Name string
	// Users means that the issuer's subjects are user ids of this app. UsersWhen restricts that to
	// callers for whom it holds; nil means all.
	Users     bool
	UsersWhen Condition
	// Only are conditions that every caller must satisfy.
	Only []Condition
}

// Accepts reports whether a caller satisfies all conditions of Only.
func (t *Trust) Accepts(c *Caller) bool {
	return !slices.ContainsFunc(t.Only, func(when Condition) bool { return !c.satisfies(when) })
}

// IsUserOf reports whether the caller's subject is a user id of this app. Machines are not excluded
// here.
func (t *Trust) IsUserOf(c *Caller) bool {
	return t.Users && (t.UsersWhen == nil || c.satisfies(t.UsersWhen))
}

// conditions returns all conditions of the trust.
func (t *Trust) conditions() []Condition {
	if t.UsersWhen == nil {
		return t.Only
	}
	return append(slices.Clip(t.Only), t.UsersWhen)
}

package sessions

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// maxKept is how many bytes the claims may have, as JSON, that a session keeps of the
// token of its user.
const maxKept = 4096

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

// keep notes in the row of a user's own session the claims of their token that it keeps,
// and when they were true. An impersonated session keeps none: they are the actor's.
func (m *Manager) keep(s *Session, c *Caller, now time.Time) error {
	if s.Impersonation {
		return nil
	}
	for _, name := range m.Minter.Claims {
		value, has := c.Claims[name]
		if !has || value == nil {
			continue
		}
		if s.Kept == nil {
			s.Kept = Claims{}
		}
		s.Kept[name] = value
	}
	if s.Kept == nil {
		return nil
	}
	if data, err := json.Marshal(s.Kept, tokenJSON); err != nil || len(data) > maxKept {
		s.Kept = nil
		return ErrKept
	}
	s.KeptAt = now
	if issued, ok := c.Claims["iat"].(int64); ok && issued < now.Unix() {
		s.KeptAt = time.Unix(max(issued, 0), 0).UTC()
	}
	return nil
}

// kept returns the claims that a user's own session keeps, where they are fresh for as
// long as the token lives.
func (m *Minter) kept(s *Session, expires time.Time) map[string]any {
	if s.Impersonation || len(s.Kept) == 0 || expires.After(s.KeptAt.Add(m.ClaimsAge)) {
		return nil
	}
	kept := make(map[string]any, len(m.Claims))
	for _, name := range m.Claims {
		if value, has := s.Kept[name]; has && !ReservedClaim(name) {
			kept[name] = value
		}
	}
	return kept
}

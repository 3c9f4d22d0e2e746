package bearer

import (
	"strings"
	"time"

	"authsidecar/sessions"
)

// A kind is the purpose that a token states.
type kind int

const (
	kindUnsaid kind = iota // not stated; the audience decides
	kindAccess
	kindID
	kindOther // refreshing, logging out, reporting events
)

// kindOf returns the purpose that a token states by a type of its own (RFC 8725 section 3.11): in
// "typ" of the header, in "token_use" (Amazon Cognito), in "typ" of the claims (Keycloak), or by
// "events" (RFC 8417 section 2.2), which logout tokens have whatever their "typ". "nonce",
// "at_hash" and "c_hash" do not count: Dex, authentik and older Keycloak put them into access
// tokens.
func kindOf(typ string, claims sessions.Claims) kind {
	if _, event := claims["events"].(map[string]any); event {
		return kindOther
	}
	said := kindUnsaid
	if mediaType(typ) == "at+jwt" {
		said = kindAccess
	}
	for _, name := range [...]string{"token_use", "typ"} {
		word, _ := claims[name].(string)
		said = max(said, kinds[strings.ToLower(word)])
	}
	return said
}

// kinds are the words that state a token's purpose, in lower case.
var kinds = map[string]kind{
	"access": kindAccess, "bearer": kindAccess,
	"id":      kindID,
	"refresh": kindOther, "offline": kindOther, "logout": kindOther,
}

// checkKind refuses tokens that are not for calling: tokens for another purpose, ID tokens unless
// they are accepted, and tokens bound to a key.
func (i *issuer) checkKind(typ string, claims sessions.Claims) error {
	if !i.types[mediaType(typ)] {
		return refuse(ReasonType)
	}
	if _, has := claims["cnf"]; has {
		return refuse(ReasonBound)
	}
	switch kindOf(typ, claims) {
	case kindOther:
		return refuse(ReasonKind)
	case kindID:
		if i.IDTokens == 0 {
			return refuse(ReasonIDToken)
		}
	case kindAccess, kindUnsaid:
	}
	return nil
}

// checkIDToken checks an ID token, where they are accepted: it must be for a client that is one of
// our audiences (OpenID Connect Core 1.0 section 3.1.3.7, steps 4 and 5), and fresh, since ID
// tokens leak in logout URLs. The same applies to a token that states no purpose and has no scope.
// stale is when the token becomes too old; zero for never.
func (i *issuer) checkIDToken(typ string, claims sessions.Claims, now time.Time) (stale time.Time, err error) {
	said := kindOf(typ, claims)
	if i.IDTokens == 0 || said == kindAccess || said == kindUnsaid && len(claims.Scopes()) > 0 {
		return stale, nil
	}
	azp, has := claims["azp"]
	if list, _ := claims["aud"].([]any); has && !i.isNamed(azp) || !has && len(list) > 1 {
		return stale, refuse(ReasonAudience)
	}
	issued, ok := numericDate(claims["iat"])
	if !ok {
		return stale, refuse(ReasonIDTokenAge)
	}
	stale = issued.Add(i.IDTokens + i.Leeway)
	if !now.Before(stale) {
		return stale, refuse(ReasonIDTokenAge)
	}
	return stale, nil
}

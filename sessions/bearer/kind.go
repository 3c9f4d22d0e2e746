package bearer

import (
	"strings"
	"time"

	"authsidecar/sessions"
)

// A kind is what a token says that it is for.
type kind int

const (
	kindUnsaid kind = iota // an access token or an ID token: its audience decides
	kindAccess
	kindID
	kindOther // refreshing, logging out, telling of events
)

// kindOf returns what a token says that it is for. What says so is a type of its own
// (RFC 8725 section 3.11): "typ" of the header, "token_use" of Amazon Cognito, "typ" of
// the claims of Keycloak, "events" of a security event (RFC 8417 section 2.2), which a
// logout token of any "typ" has. "nonce", "at_hash" and "c_hash" say nothing: Dex,
// authentik and older Keycloak put them into access tokens.
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

// kinds are the words that say what a token is for, in small letters.
var kinds = map[string]kind{
	"access": kindAccess, "bearer": kindAccess,
	"id":      kindID,
	"refresh": kindOther, "offline": kindOther, "logout": kindOther,
}

// checkKind refuses tokens that are not for calling: those of another type, ID tokens
// unless they are accepted, and those that only the holder of a key may use.
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

// checkIDToken checks what ID tokens must be where they are accepted: for a client
// that is an audience of ours (OpenID Connect Core 1.0 section 3.1.3.7, steps 4 and 5),
// and fresh, since they leak by the URLs of logouts. A token that says nothing of its
// kind, and has no scope, is held to that too. It returns when the token is too old;
// zero for never.
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

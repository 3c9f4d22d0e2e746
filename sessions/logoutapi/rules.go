package logoutapi

import (
	"errors"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// logoutEvent is the event of a logout token (Back-Channel Logout 1.0 section 2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// maxAge is the maximum age of a logout token: it is sent at once, and retries follow within
// minutes. A security event has no maximum age.
const maxAge = 10 * time.Minute

// maxText limits the texts of a token: its jti, a subject, a session.
const maxText = 255

// attribute adds the token's issuer to a refusal.
func attribute(s *bearer.Signed, err error) error {
	if refused, ok := errors.AsType[*refusal](err); ok {
		refused.issuer = s.Issuer.Name
	}
	return err
}

// checkLogout checks the claims of a logout token (Back-Channel Logout 1.0 section 2.6).
func (a *API) checkLogout(s *bearer.Signed) error {
	l := a.Listeners[s.Issuer.Name]
	_, hasNonce := s.Claims["nonce"]
	switch {
	case l == nil || len(l.Clients) == 0:
		return refuse(errToken, "no logout tokens are taken from "+s.Issuer.Name, "write in its trust: logout <client id>")
	case !isType(s, "logout+jwt"):
		return refuse(errToken, "its typ is that of another kind of token", "")
	case !hasWord(s.Claims["aud"], l.Clients):
		return refuse(errToken, "aud names none of our clients", "write in the trust the client id that the issuer has in aud: logout <client id>")
	case hasNonce:
		return refuse(errToken, "it has a nonce, which a logout token must not have", "")
	}
	if _, ok := eventsOf(s)[logoutEvent].(map[string]any); !ok {
		return refuse(errToken, "it has no event "+logoutEvent, "")
	}
	_, hasSub := s.Claims["sub"]
	_, hasSID := s.Claims["sid"]
	if !hasSub && !hasSID || hasSub && text(s.Claims["sub"]) == "" || hasSID && text(s.Claims["sid"]) == "" {
		return refuse(errToken, "it has neither a valid sub nor a valid sid", "")
	}
	if err := a.checkSelf(s); err != nil {
		return err
	}
	leeway, now := s.Issuer.Leeway, a.Now()
	if issued, _ := date(s.Claims["iat"]); issued.Before(now.Add(-maxAge - leeway)) {
		return refuse(errToken, "its iat is more than 10 minutes ago", "compare the clocks of both machines")
	}
	// Back-Channel Logout 1.0, final since 2022, requires exp; earlier drafts did not.
	if exp, has := s.Claims["exp"]; has {
		if end, ok := date(exp); !ok || !now.Before(end.Add(leeway)) {
			return refuse(errToken, "it has expired", "compare the clocks of both machines")
		}
	}
	return nil
}

// checkEvent checks the claims of a security event token (RFC 8417 section 2.2).
func (a *API) checkEvent(s *bearer.Signed) error {
	l := a.Listeners[s.Issuer.Name]
	switch {
	case l == nil || l.Events == nil:
		return refuse(errIssuer, "no events are taken from "+s.Issuer.Name, "write in its trust: events { audience <audience> }")
	case !isType(s, "secevent+jwt"):
		return refuse(errToken, "its typ is that of another kind of token", "")
	case !hasWord(s.Claims["aud"], l.Events.Audiences):
		return refuse(errAudience, "aud names none of our audiences", "write in events the audience that the stream has: audience <aud>")
	case len(eventsOf(s)) == 0:
		return refuse(errToken, "it has no events", "")
	case eventsOf(s)[logoutEvent] != nil:
		return refuse(errToken, "it is a logout token", "let the issuer send it to "+a.Path+LogoutPath)
	}
	return a.checkSelf(s)
}

// checkSelf checks the claims that both kinds of tokens have: jti and iat, which RFC 8417 section
// 2.2 requires too.
func (a *API) checkSelf(s *bearer.Signed) error {
	issued, ok := date(s.Claims["iat"])
	switch {
	case text(s.Claims["jti"]) == "":
		return refuse(errToken, "it has no jti", "")
	case !ok:
		return refuse(errToken, "it has no iat", "")
	case issued.After(a.Now().Add(s.Issuer.Leeway)):
		return refuse(errToken, "its iat is in the future", "compare the clocks of both machines")
	default:
		return nil
	}
}

// refusalOf returns the refusal of a token that bearer.VerifySigned refused.
func refusalOf(err error) error {
	refused, ok := errors.AsType[*bearer.Refusal](err)
	if !ok {
		return err
	}
	switch refused.Reason {
	case bearer.ReasonUnknownIssuer:
		return refuse(errIssuer, "it is of no trusted issuer", "")
	case bearer.ReasonUnknownKey, bearer.ReasonSignature, bearer.ReasonAlgorithm:
		return refuse(errKey, string(refused.Reason), "")
	default:
		return refuse(errToken, string(refused.Reason), "")
	}
}

// isType reports whether a token states this type, or none: in the header, and in Keycloak's claim
// ("Logout").
func isType(s *bearer.Signed, want string) bool {
	typ := strings.ToLower(s.Header.Type)
	typ = strings.TrimPrefix(typ, "application/")
	if typ != want && typ != "jwt" && typ != "" {
		return false
	}
	said, has := s.Claims["typ"]
	word, _ := said.(string)
	return !has || strings.EqualFold(word, "logout") && want == "logout+jwt"
}

// eventsOf returns the events of a token.
func eventsOf(s *bearer.Signed) map[string]any {
	events, _ := s.Claims["events"].(map[string]any)
	return events
}

// hasWord reports whether a claim is one of the words, or a list that contains one (RFC 7519
// section 4.1.3).
func hasWord(claim any, words []string) bool {
	list, ok := claim.([]any)
	if !ok {
		list = []any{claim}
	}
	return slices.ContainsFunc(list, func(item any) bool {
		word, ok := item.(string)
		return ok && slices.Contains(words, word)
	})
}

// text returns a claim that is a string of acceptable length; "" for any other.
func text(claim any) string {
	s, _ := claim.(string)
	if len(s) > maxText {
		return ""
	}
	return s
}

// date reads a time in seconds since 1970.
func date(claim any) (time.Time, bool) {
	at := (&sessions.Caller{Claims: sessions.Claims{"iat": claim}}).AuthAt()
	return at, !at.IsZero()
}

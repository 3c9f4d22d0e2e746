package bearer

import (
	"math"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// check returns the caller of verified claims, and until when the result holds.
func (i *source) check(typ string, claims sessions.Claims, now time.Time) (caller *sessions.Caller, until time.Time, err error) {
	if claims["iss"] != any(i.name) {
		return nil, until, refuse(ReasonUnknownIssuer)
	}
	if err := i.checkKind(typ, claims); err != nil {
		return nil, until, err
	}
	if !i.isAudience(claims) {
		return nil, until, refuse(ReasonAudience)
	}
	end, err := i.checkTimes(claims, now)
	if err != nil {
		return nil, until, err
	}
	stale, err := i.checkIDToken(typ, claims, now)
	if err != nil {
		return nil, until, err
	}
	if until = end.Add(i.Leeway); !stale.IsZero() && stale.Before(until) {
		until = stale
	}
	if caller, err = i.caller(claims, end); err != nil {
		return nil, until, err
	}
	if !i.trust.Accepts(caller) {
		return nil, until, refuse(ReasonOnly)
	}
	return caller, until, nil
}

// checkTimes returns when the token expires, if now is within its validity.
func (i *issuer) checkTimes(claims sessions.Claims, now time.Time) (time.Time, error) {
	if _, has := claims["exp"]; !has {
		return time.Time{}, refuse(ReasonNoExpiry)
	}
	end, ok := numericDate(claims["exp"])
	switch {
	case !ok:
		return end, refuse(ReasonClaims)
	case !now.Before(end.Add(i.Leeway)):
		return end, refuse(ReasonExpired)
	case end.After(now.Add(i.MaxLifetime + i.Leeway)):
		return end, refuse(ReasonLifetime)
	}
	for _, start := range [...]struct {
		name   string
		reason Reason
	}{{"nbf", ReasonNotYet}, {"iat", ReasonIssuedLater}} {
		value, has := claims[start.name]
		if !has {
			continue
		}
		at, ok := numericDate(value)
		if !ok {
			return end, refuse(ReasonClaims)
		}
		if at.After(now.Add(i.Leeway)) {
			return end, refuse(start.reason)
		}
	}
	return end, nil
}

// maxDate is in the year 9999. Later times, and times as far before 1970, are clamped to it to
// avoid overflows.
const maxDate = 253_402_300_799

// numericDate reads seconds since 1970, possibly with a fraction (RFC 7519 section 2). It reports
// whether value is a number at all.
func numericDate(value any) (time.Time, bool) {
	switch n := value.(type) {
	case int64:
		return time.Unix(min(max(n, -maxDate), maxDate), 0).UTC(), true
	case float64:
		if math.IsNaN(n) {
			return time.Time{}, false
		}
		whole, fraction := math.Modf(min(max(n, -maxDate), maxDate))
		return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true
	default:
		return time.Time{}, false
	}
}

// caller returns the caller. The conditions of Only have not been checked yet.
func (i *source) caller(claims sessions.Claims, end time.Time) (*sessions.Caller, error) {
	subject, err := i.subject(claims)
	if err != nil {
		return nil, err
	}
	client, ok := text(claims, "client_id", "azp")
	if !ok {
		return nil, refuse(ReasonClaims)
	}
	caller := &sessions.Caller{
		Principal: sessions.Principal{Issuer: i.name, Subject: subject},
		Trust:     i.trust.Name,
		ClientID:  client,
		Scopes:    claims.Scopes(),
		Own:       i.Own,
		Claims:    claims,
		ExpiresAt: end,
	}
	if act, acting := claims["act"]; acting {
		caller.Acting = true
		if caller.Actor, ok = i.actor(act); !ok {
			return nil, refuse(ReasonActor)
		}
	}
	if i.Own && !readSession(caller) {
		return nil, refuse(ReasonSession)
	}
	caller.User = i.trust.IsUserOf(caller)
	return caller, nil
}

// actor reads the party that uses the token on behalf of its subject (RFC 8693 section 4.1): the
// subject in act, of the issuer in act or else of the token's own. A token whose act does not name
// the actor is refused. Our own tokens always name the issuer too.
func (i *source) actor(act any) (actor sessions.Principal, ok bool) {
	members, _ := act.(map[string]any)
	actor.Subject, _ = members["sub"].(string)
	actor.Issuer = i.name
	if iss, named := members["iss"]; named || i.Own {
		actor.Issuer, _ = iss.(string)
	}
	return actor, actor.Issuer != "" && sessions.CheckUserID(actor.Subject) == nil
}

// readSession reads the claims of our own tokens about their session, which are needed to check
// whether it was revoked. It reports whether they are complete.
func readSession(c *sessions.Caller) bool {
	created, ok := c.Claims["sid_iat"].(int64)
	c.SessionID, _ = c.Claims["sid"].(string)
	c.SessionCreated = time.UnixMilli(created).UTC()
	var known bool
	c.StoreID, known = text(c.Claims, "store")
	return ok && c.SessionID != "" && known && readGeneration(c)
}

// readGeneration reads the generation of a token of ours, and reports whether it is acceptable.
func readGeneration(c *sessions.Caller) bool {
	value, has := c.Claims["gen"]
	generation, ok := value.(int64)
	if !has || !ok || generation < 0 {
		return !has
	}
	if c.Generation = uint64(generation); generation > 0 { // the first has no predecessor
		c.Arrived = new(atomic.Bool)
	}
	return true
}

// text returns the first of the claims that is present. All that are present must be strings.
func text(claims sessions.Claims, names ...string) (first string, ok bool) {
	for _, name := range names {
		value, has := claims[name]
		if !has {
			continue
		}
		s, isText := value.(string)
		if !isText {
			return "", false
		}
		if first == "" {
			first = s
		}
	}
	return first, true
}

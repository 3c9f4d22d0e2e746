package bearer

import (
	"math"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// check makes a caller of verified claims, or says what is wrong with them. until is
// how long it stays so.
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

// checkTimes returns the token's end, if now is between its times.
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

// farAway is in the year 9999: what is later, or as long before 1970, is moved
// there, so that nothing overflows.
const farAway = 253_402_300_799

// numericDate reads seconds since 1970 (RFC 7519 section 2), fractions too. It
// reports whether value is a number at all.
func numericDate(value any) (time.Time, bool) {
	switch n := value.(type) {
	case int64:
		return time.Unix(min(max(n, -farAway), farAway), 0).UTC(), true
	case float64:
		if math.IsNaN(n) {
			return time.Time{}, false
		}
		whole, fraction := math.Modf(min(max(n, -farAway), farAway))
		return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true
	default:
		return time.Time{}, false
	}
}

// caller returns who is calling. What every caller has to satisfy is not asked yet.
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

// actor reads who uses the token for its subject (RFC 8693 section 4.1): by a subject
// of the issuer that is named beside it, else of the token's own. A token that says
// that somebody acts, and not who, is refused. Our own tokens name both.
func (i *source) actor(act any) (actor sessions.Principal, ok bool) {
	members, _ := act.(map[string]any)
	actor.Subject, _ = members["sub"].(string)
	actor.Issuer = i.name
	if iss, named := members["iss"]; named || i.Own {
		actor.Issuer, _ = iss.(string)
	}
	return actor, actor.Issuer != "" && sessions.CheckUserID(actor.Subject) == nil
}

// readSession fills in what our own tokens say of their session, all of which it takes
// to know whether it was revoked, and reports whether it is complete.
func readSession(c *sessions.Caller) bool {
	created, ok := c.Claims["sid_iat"].(int64)
	c.SessionID, _ = c.Claims["sid"].(string)
	c.SessionCreated = time.UnixMilli(created).UTC()
	var known bool
	c.StoreID, known = text(c.Claims, "store")
	return ok && c.SessionID != "" && known && readGeneration(c)
}

// readGeneration fills in the generation that a token says, and reports whether it can be one.
func readGeneration(c *sessions.Caller) bool {
	value, has := c.Claims["gen"]
	generation, ok := value.(int64)
	if !has || !ok || generation < 0 {
		return !has
	}
	if c.Generation = uint64(generation); generation > 0 { // nothing came before the first
		c.Arrived = new(atomic.Bool)
	}
	return true
}

// text returns the first of the claims that is there. All that are must be
// strings.
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

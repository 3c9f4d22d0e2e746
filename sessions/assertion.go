package sessions

import (
	"fmt"
	"time"
)

// AssertionTTL is how long an assertion is good for.
const AssertionTTL = time.Minute

// assertionType is the "typ" of assertions, which nobody takes for access tokens.
const assertionType = "JWT"

// Assertion mints a token that says to the app, and nobody else, who is asking with an
// access token: of that user, actor and session, for AssertionTTL, and never longer
// than the access token.
func (m *Minter) Assertion(c *Caller, user string, actor Principal, audience []string, now time.Time) (string, error) {
	key, err := m.Keys.Access.Signing(now)
	if err != nil {
		return "", fmt.Errorf("minting assertion: %w", err)
	}
	expires := now.Add(AssertionTTL)
	if c.ExpiresAt.Before(expires) {
		expires = c.ExpiresAt
	}
	signer := func(claims []byte) (string, error) { return key.SignAs(assertionType, claims) }
	claims := &accessClaims{
		Issuer: m.Issuer, Expires: expires.Unix(), Audience: audienceOf(audience), User: user, Client: c.ClientID,
		Issued: now.Unix(), ID: randomID(), Session: c.SessionID,
	}
	if actor != (Principal{}) {
		claims.Actor = &actorClaim{Subject: actor.Subject, Issuer: actor.Issuer}
	}
	return sign(signer, claims)
}

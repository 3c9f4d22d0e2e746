package sessions

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/strictjson"
)

// A Minter makes the tokens of sessions. It signs bytes that it serialised
// itself from structs: nothing that a request holds becomes a claim name.
type Minter struct {
	// Issuer is the "iss" of all tokens.
	Issuer string
	// RefreshAudience is the only place that takes refresh tokens.
	RefreshAudience string
	// AccessAudience are the resource servers that take access tokens.
	AccessAudience []string
	// AccessTTL is the life of an access token, unless the session ends sooner.
	AccessTTL time.Duration
	// Claims name what a user's own session keeps of its caller's token, and its access
	// tokens have, until that token is ClaimsAge old. Names that are reserved are left out.
	Claims    []string
	ClaimsAge time.Duration
	// Confidential are the OAuth clients that authenticate: a refresh token of theirs says so, and
	// is good for nobody else, even when the client is no more.
	Confidential map[string]bool
	// Console is the origin of the console: the client of the sessions of those who sign in there,
	// and the one audience of their access tokens. "": there is none.
	Console string
	// Keys sign.
	Keys *keyring.Keyring
	// StoreID returns the identity of the store (revocation.Watcher.Identity), which access tokens
	// carry; nil is none.
	StoreID func() string
}

// Refresh mints the live refresh token of the row: the same bytes each time,
// since the row holds all that goes in and the signature is deterministic.
// keyring.ErrNoKey means that the key that signed it is gone.
func (m *Minter) Refresh(s *Session) (string, error) {
	key, err := m.Keys.Refresh.Find(s.KeyID)
	if err != nil {
		return "", fmt.Errorf("minting refresh token: %w", err)
	}
	return sign(key.Sign, m.refreshClaims(s))
}

// refreshClaims are the claims of a refresh token, in an order that never changes: what an
// earlier release minted is minted again.
type refreshClaims struct {
	Issuer     string      `json:"iss"`
	Audience   string      `json:"aud"`
	User       string      `json:"sub"`
	Session    string      `json:"sid"`
	Client     string      `json:"client_id"`
	Generation uint64      `json:"gen"`
	Secret     string      `json:"rnd"`
	Issued     int64       `json:"iat"`
	Expires    int64       `json:"exp"`
	Actor      *actorClaim `json:"act,omitzero"`
	ClientAuth bool        `json:"client_auth,omitzero"` // whether the client has to authenticate
	Cookies    bool        `json:"cookies,omitzero"`     // whether it is good in its cookie alone
}

// An actorClaim says who acts as the subject, where that is somebody else (RFC 8693
// section 4.1).
type actorClaim struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss"`
}

func (m *Minter) refreshClaims(s *Session) *refreshClaims {
	return &refreshClaims{
		Issuer: m.Issuer, Audience: m.RefreshAudience, User: s.UserID, Session: s.ID, Client: s.ClientID,
		Generation: s.Generation, Secret: base64.RawURLEncoding.EncodeToString(s.Secret[:]),
		Issued: s.RotatedAt.Unix(), Expires: s.End().Unix(), Actor: actorOf(s),
		ClientAuth: m.Confidential[s.ClientID], Cookies: s.Cookies,
	}
}

func actorOf(s *Session) *actorClaim {
	if !s.Impersonation {
		return nil
	}
	return &actorClaim{Subject: s.Actor.Subject, Issuer: s.Actor.Issuer}
}

// ReadRefresh verifies a refresh token of ours: form, key, type, issuer and
// audience, without a look at the store. The errors wrap ErrGrant, or
// ErrUnavailable where its key may be one that this node has not seen yet.
func (m *Minter) ReadRefresh(token string) (*Presented, error) {
	parsed, err := jose.Parse(token)
	if err != nil || parsed.Header.Type != keyring.RefreshTokenType {
		return nil, errTokenForm
	}
	key, err := m.Keys.Refresh.Find(parsed.Header.KeyID)
	switch {
	case errors.Is(err, keyring.ErrIncomplete):
		return nil, fmt.Errorf("reading refresh token: %w: %w", ErrUnavailable, err)
	case err != nil:
		return nil, errTokenKey
	}
	var claims refreshClaims
	if key.Verify(parsed, &claims) != nil {
		return nil, errTokenSigned
	}
	return m.read(&claims)
}

// read reads claims that we signed ourselves.
func (m *Minter) read(c *refreshClaims) (*Presented, error) {
	p := &Presented{Session: Key{Realm: m.Issuer, ID: c.Session}, UserID: c.User, ClientID: c.Client, ClientAuth: c.ClientAuth, Cookies: c.Cookies, Generation: c.Generation}
	secret, err := base64.RawURLEncoding.DecodeString(c.Secret)
	if err != nil || len(secret) != SecretSize || c.Session == "" || c.Issuer != m.Issuer || c.Audience != m.RefreshAudience {
		return nil, errTokenClaims
	}
	p.Secret = [SecretSize]byte(secret)
	return p, nil
}

// Access mints an access token (RFC 9068) for the live generation of the row, whose
// transition (or a retry of it) was at now, and returns when it ends: AccessTTL after
// the transition at the latest, and never after the session. It is never issued later
// than now: a clock that was put back is behind RotatedAt, and nobody takes a token of
// the future.
func (m *Minter) Access(s *Session, now time.Time) (string, time.Time, error) {
	key, err := m.Keys.Access.Signing(now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("minting access token: %w", err)
	}
	issued, expires := m.accessTimes(s, now)
	token, err := sign(key.Sign, m.accessClaims(s, randomID(), issued, expires))
	return token, expires, err
}

// accessTimes returns from when until when an access token is good.
func (m *Minter) accessTimes(s *Session, now time.Time) (issued, expires time.Time) {
	issued = s.RotatedAt
	if now.Before(issued) {
		issued = now
	}
	expires = issued.Add(m.AccessTTL)
	if end := s.End(); end.Before(expires) {
		expires = end
	}
	return issued, expires
}

// accessClaims are the claims of an access token, and of an assertion.
type accessClaims struct {
	Issuer   string         `json:"iss"`
	Expires  int64          `json:"exp"`
	Audience any            `json:"aud"`
	User     string         `json:"sub,omitzero"`
	Client   string         `json:"client_id,omitzero"`
	Issued   int64          `json:"iat"`
	ID       string         `json:"jti"`
	Session  string         `json:"sid,omitzero"`
	Created  int64          `json:"sid_iat,omitzero"` // when the session was created, in milliseconds
	Gen      *uint64        `json:"gen,omitzero"`     // of a session whose tokens live in cookies
	Store    string         `json:"store,omitzero"`
	Actor    *actorClaim    `json:"act,omitzero"`
	Reason   string         `json:"reason,omitzero"`
	Kept     map[string]any `json:",embed"` // no name of which is one of the others
}

func (m *Minter) accessClaims(s *Session, id string, issued, expires time.Time) *accessClaims {
	claims := &accessClaims{
		Issuer: m.Issuer, Expires: expires.Unix(), Audience: audienceOf(m.AccessAudience), User: s.UserID, Client: s.ClientID,
		Issued: issued.Unix(), ID: id, Session: s.ID, Created: s.CreatedAt.UnixMilli(), Actor: actorOf(s), Kept: m.kept(s, expires),
	}
	if m.Console != "" && s.ClientID == m.Console {
		claims.Audience = m.Console
	}
	if s.Cookies {
		claims.Gen = &s.Generation
	}
	if m.StoreID != nil {
		claims.Store = m.StoreID()
	}
	if s.Impersonation {
		claims.Reason = s.Reason
	}
	return claims
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

// audienceOf returns one string where there is one, as RFC 7519 section 4.1.3 allows and
// every verifier understands.
func audienceOf(audience []string) any {
	if len(audience) == 1 {
		return audience[0]
	}
	return audience
}

// tokenJSON are the options that claims are written with, as earlier releases wrote them.
var tokenJSON = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.EscapeForJS(true))

// sign returns a token, by sign, of these claims.
func sign(sign func(claims []byte) (string, error), claims any) (token string, err error) {
	failed := strictjson.Marshal(claims, func(data []byte) { token, err = sign(data) }, tokenJSON)
	if failed != nil {
		return "", fmt.Errorf("serialising claims: %w", failed)
	}
	return token, err
}

// randomID returns 128 random bits in base64url.
func randomID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails: it ends the process instead
	return encodeID(raw[:])
}

// encodeID returns an id in base64url that begins with a letter or a digit: a command would take
// another for an option.
func encodeID(raw []byte) string {
	const dash = 62 << 2 // the first byte of what begins with - or _
	if raw[0] >= dash {
		raw[0] &^= 1 << 7
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

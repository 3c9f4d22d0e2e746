package sessions

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/strictjson"
)

// A Minter mints the tokens of sessions. It signs bytes that it serialized itself from structs, so
// nothing in a request can become a claim name.
type Minter struct {
	// Issuer is the "iss" of all tokens.
	Issuer string
	// RefreshAudience is the "aud" of refresh tokens: the endpoint that accepts them.
	RefreshAudience string
	// AccessAudience is the "aud" of access tokens: the resource servers that accept them.
	AccessAudience []string
	// AccessTTL is the lifetime of an access token, unless the session ends sooner.
	AccessTTL time.Duration
	// Claims are the claims of the caller's token that a user's own session keeps. Its access
	// tokens have them until the caller's token is ClaimsAge old. Reserved names are left out.
	Claims    []string
	ClaimsAge time.Duration
	// Confidential are the OAuth clients that authenticate. Their refresh tokens are marked, and
	// are valid for no other client, even after the client has been removed.
	Confidential map[string]bool
	// Console is the origin of the console: the client of sessions that are created by signing in
	// there, and the only audience of their access tokens. "" if there is no console.
	Console string
	// Keys are the signing keys.
	Keys *keyring.Keyring
	// StoreID returns the identity of the store (revocation.Watcher.Identity), which access tokens
	// carry. Nil means that they carry none.
	StoreID func() string
}

// Refresh mints the live refresh token of the row. It returns the same bytes each time, since the
// row contains all inputs and the signature is deterministic. keyring.ErrNoKey means that the key
// that signed it is gone.
func (m *Minter) Refresh(s *Session) (string, error) {
	key, err := m.Keys.Refresh.Find(s.KeyID)
	if err != nil {
		return "", fmt.Errorf("minting refresh token: %w", err)
	}
	return sign(key.Sign, func(w *strictjson.Writer) { m.writeRefresh(w, s) })
}

// writeRefresh writes the claims of a refresh token. Their order never changes, so that a token of
// an earlier release can be minted again.
func (m *Minter) writeRefresh(w *strictjson.Writer, s *Session) {
	w.Text("iss", m.Issuer)
	w.Text("aud", m.RefreshAudience)
	w.Text("sub", s.UserID)
	w.Text("sid", s.ID)
	w.Text("client_id", s.ClientID)
	w.Uint("gen", s.Generation)
	w.Text("rnd", base64.RawURLEncoding.EncodeToString(s.Secret[:]))
	w.Int("iat", s.RotatedAt.Unix())
	w.Int("exp", s.End().Unix())
	if s.Impersonation {
		writeActor(w, s.Actor)
	}
	w.True("client_auth", m.Confidential[s.ClientID])
	w.True("cookies", s.Cookies)
}

// writeActor writes the actor, if it is not the subject (RFC 8693 section 4.1).
func writeActor(w *strictjson.Writer, actor Principal) {
	w.Object("act", func() {
		w.Text("sub", actor.Subject)
		w.Text("iss", actor.Issuer)
	})
}

// refreshClaims are the claims that are read from a refresh token.
type refreshClaims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	User       string `json:"sub"`
	Session    string `json:"sid"`
	Client     string `json:"client_id"`
	Generation uint64 `json:"gen"`
	Secret     string `json:"rnd"`
	ClientAuth bool   `json:"client_auth"` // the client has to authenticate
	Cookies    bool   `json:"cookies"`     // valid only in its cookie
}

// ReadRefresh verifies one of our refresh tokens: form, key, type, issuer and audience. It does not
// read the store. The errors wrap ErrGrant, or ErrUnavailable if its key may be one that this node
// has not loaded yet.
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

// read checks claims with our own signature.
func (m *Minter) read(c *refreshClaims) (*Presented, error) {
	p := &Presented{Session: Key{Realm: m.Issuer, ID: c.Session}, UserID: c.User, ClientID: c.Client, ClientAuth: c.ClientAuth, Cookies: c.Cookies, Generation: c.Generation}
	secret, err := base64.RawURLEncoding.DecodeString(c.Secret)
	if err != nil || len(secret) != SecretSize || c.Session == "" || c.Issuer != m.Issuer || c.Audience != m.RefreshAudience {
		return nil, errTokenClaims
	}
	p.Secret = [SecretSize]byte(secret)
	return p, nil
}

// Access mints an access token (RFC 9068) for the live generation of the row, whose transition (or
// a retry of it) was at now, and returns when it expires: at most AccessTTL after the transition,
// and never after the session. It is never issued later than now, since no verifier accepts a token
// from the future: if the clock was set back, now is before RotatedAt.
func (m *Minter) Access(s *Session, now time.Time) (string, time.Time, error) {
	key, err := m.Keys.Access.Signing(now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("minting access token: %w", err)
	}
	issued, expires := m.accessTimes(s, now)
	token, err := sign(key.Sign, func(w *strictjson.Writer) { m.writeAccess(w, s, randomID(), issued, expires) })
	return token, expires, err
}

// accessTimes returns when an access token is issued and when it expires.
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

// writeAccess writes the claims of an access token.
func (m *Minter) writeAccess(w *strictjson.Writer, s *Session, id string, issued, expires time.Time) {
	audience := m.AccessAudience
	if m.Console != "" && s.ClientID == m.Console {
		audience = []string{m.Console}
	}
	m.writeCommon(w, audience, s.UserID, s.ClientID, issued, expires, id)
	w.TextIfSet("sid", s.ID)
	if created := s.CreatedAt.UnixMilli(); created != 0 {
		w.Int("sid_iat", created) // creation of the session, in milliseconds
	}
	if s.Cookies {
		w.Uint("gen", s.Generation)
	}
	if m.StoreID != nil {
		w.TextIfSet("store", m.StoreID())
	}
	if s.Impersonation {
		writeActor(w, s.Actor)
		w.TextIfSet("reason", s.Reason)
	}
	m.writeKept(w, s, expires)
}

// writeCommon writes the claims at the beginning of access tokens and assertions. A single audience
// is written as a string, which RFC 7519 section 4.1.3 allows and every verifier understands.
func (m *Minter) writeCommon(w *strictjson.Writer, audience []string, user, client string, issued, expires time.Time, id string) {
	w.Text("iss", m.Issuer)
	w.Int("exp", expires.Unix())
	if len(audience) == 1 {
		w.Text("aud", audience[0])
	} else {
		w.Texts("aud", audience)
	}
	w.TextIfSet("sub", user)
	w.TextIfSet("client_id", client)
	w.Int("iat", issued.Unix())
	w.Text("jti", id)
}

// writeKept writes the claims that a user's own session keeps, if they stay fresh for the lifetime
// of the token. Their names never collide with the others.
func (m *Minter) writeKept(w *strictjson.Writer, s *Session, expires time.Time) {
	if s.Impersonation || len(s.Kept) == 0 || expires.After(s.KeptAt.Add(m.ClaimsAge)) {
		return
	}
	for _, name := range m.Claims {
		if value, has := s.Kept[name]; has && !ReservedClaim(name) {
			w.Value(name, value)
		}
	}
}

// AssertionTTL is the lifetime of an assertion.
const AssertionTTL = time.Minute

// assertionType is the "typ" of assertions, which distinguishes them from access tokens.
const assertionType = "JWT"

// Assertion mints a token for the app alone that names the user, the actor and the session of an
// access token. It is valid for AssertionTTL, and never longer than the access token.
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
	return sign(signer, func(w *strictjson.Writer) {
		m.writeCommon(w, audience, user, c.ClientID, now, expires, randomID())
		w.TextIfSet("sid", c.SessionID)
		if actor != (Principal{}) {
			writeActor(w, actor)
		}
	})
}

// sign returns the signed token for the claims that write writes.
func sign(sign func(claims []byte) (string, error), write func(*strictjson.Writer)) (token string, err error) {
	if failed := strictjson.Write(write, func(data []byte) { token, err = sign(data) }); failed != nil {
		return "", fmt.Errorf("serialising claims: %w", failed)
	}
	return token, err
}

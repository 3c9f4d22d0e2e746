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
	return sign(key.Sign, func(w *strictjson.Writer) { m.writeRefresh(w, s) })
}

// writeRefresh writes the claims of a refresh token, in an order that never changes: what an
// earlier release minted is minted again.
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

// writeActor says who acts as the subject, where that is somebody else (RFC 8693 section 4.1).
func writeActor(w *strictjson.Writer, actor Principal) {
	w.Object("act", func() {
		w.Text("sub", actor.Subject)
		w.Text("iss", actor.Issuer)
	})
}

// refreshClaims are what is read of the claims of a refresh token.
type refreshClaims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	User       string `json:"sub"`
	Session    string `json:"sid"`
	Client     string `json:"client_id"`
	Generation uint64 `json:"gen"`
	Secret     string `json:"rnd"`
	ClientAuth bool   `json:"client_auth"` // whether the client has to authenticate
	Cookies    bool   `json:"cookies"`     // whether it is good in its cookie alone
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
	token, err := sign(key.Sign, func(w *strictjson.Writer) { m.writeAccess(w, s, randomID(), issued, expires) })
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

// writeAccess writes the claims of an access token.
func (m *Minter) writeAccess(w *strictjson.Writer, s *Session, id string, issued, expires time.Time) {
	audience := m.AccessAudience
	if m.Console != "" && s.ClientID == m.Console {
		audience = []string{m.Console}
	}
	m.writeCommon(w, audience, s.UserID, s.ClientID, issued, expires, id)
	w.Given("sid", s.ID)
	if created := s.CreatedAt.UnixMilli(); created != 0 {
		w.Int("sid_iat", created) // when the session was created, in milliseconds
	}
	if s.Cookies {
		w.Uint("gen", s.Generation)
	}
	if m.StoreID != nil {
		w.Given("store", m.StoreID())
	}
	if s.Impersonation {
		writeActor(w, s.Actor)
		w.Given("reason", s.Reason)
	}
	m.writeKept(w, s, expires)
}

// writeCommon writes what access tokens and assertions begin with. One audience is one string, as
// RFC 7519 section 4.1.3 allows and every verifier understands.
func (m *Minter) writeCommon(w *strictjson.Writer, audience []string, user, client string, issued, expires time.Time, id string) {
	w.Text("iss", m.Issuer)
	w.Int("exp", expires.Unix())
	if len(audience) == 1 {
		w.Text("aud", audience[0])
	} else {
		w.Texts("aud", audience)
	}
	w.Given("sub", user)
	w.Given("client_id", client)
	w.Int("iat", issued.Unix())
	w.Text("jti", id)
}

// writeKept writes the claims that a user's own session keeps, where they are fresh for as
// long as the token lives. No name of them is one of the others.
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
	return sign(signer, func(w *strictjson.Writer) {
		m.writeCommon(w, audience, user, c.ClientID, now, expires, randomID())
		w.Given("sid", c.SessionID)
		if actor != (Principal{}) {
			writeActor(w, actor)
		}
	})
}

// sign returns a token, by sign, of the claims that write writes.
func sign(sign func(claims []byte) (string, error), write func(*strictjson.Writer)) (token string, err error) {
	if failed := strictjson.Write(write, func(data []byte) { token, err = sign(data) }); failed != nil {
		return "", fmt.Errorf("serialising claims: %w", failed)
	}
	return token, err
}

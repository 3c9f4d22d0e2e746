package sessions

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// Types of the tokens we mint (header "typ"). No resource server accepts a
// refresh token: its type, its audience and its key are all its own.
const (
	RefreshTokenType = "rt+jwt"
	AccessTokenType  = "at+jwt" // RFC 9068 section 2.1
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
	// Keys sign.
	Keys *Keyring
}

type refreshClaims struct {
	Issuer   string    `json:"iss"`
	Audience string    `json:"aud"`
	Subject  string    `json:"sub"`
	Session  string    `json:"sid"`
	Client   string    `json:"client_id"`
	Gen      uint64    `json:"gen"`
	Secret   string    `json:"rnd"`
	IssuedAt int64     `json:"iat"`
	Expires  int64     `json:"exp"`
	Actor    *actClaim `json:"act,omitempty"`
}

type accessClaims struct {
	Issuer   string    `json:"iss"`
	Expires  int64     `json:"exp"`
	Audience audience  `json:"aud"`
	Subject  string    `json:"sub"`
	Client   string    `json:"client_id"`
	IssuedAt int64     `json:"iat"`
	ID       string    `json:"jti"`
	Session  string    `json:"sid"`
	Created  int64     `json:"sid_iat"` // when the session was created, in milliseconds
	Actor    *actClaim `json:"act,omitempty"`
	Reason   string    `json:"reason,omitempty"` // why, of an impersonation
}

// actClaim is who acts as the subject (RFC 8693 section 4.1).
type actClaim struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss"`
}

// audience is one string where there is one, as RFC 7519 section 4.1.3 allows
// and every verifier understands.
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// Refresh mints the live refresh token of the row: the same bytes each time,
// since the row holds all that goes in and the signature is deterministic.
// ErrNoKey means that the key that once signed it is gone.
func (m *Minter) Refresh(s *Session) (string, error) {
	key, err := m.Keys.Refresh.Find(s.KeyID)
	if err != nil {
		return "", fmt.Errorf("minting refresh token: %w", err)
	}
	claims := refreshClaims{
		Issuer:   m.Issuer,
		Audience: m.RefreshAudience,
		Subject:  s.UserID,
		Session:  s.ID,
		Client:   s.ClientID,
		Gen:      s.Generation,
		Secret:   base64.RawURLEncoding.EncodeToString(s.Secret[:]),
		IssuedAt: s.RotatedAt.Unix(),
		Expires:  s.End().Unix(),
		Actor:    actorOf(s),
	}
	return sign(key, &claims)
}

// Access mints an access token (RFC 9068) for the live generation of the row
// and returns when it ends: AccessTTL after the transition at the latest, and
// never after the session.
func (m *Minter) Access(s *Session, now time.Time) (string, time.Time, error) {
	key, err := m.Keys.Access.Signing(now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("minting access token: %w", err)
	}
	expires := s.RotatedAt.Add(m.AccessTTL)
	if end := s.End(); end.Before(expires) {
		expires = end
	}
	claims := accessClaims{
		Issuer:   m.Issuer,
		Expires:  expires.Unix(),
		Audience: m.AccessAudience,
		Subject:  s.UserID,
		Client:   s.ClientID,
		IssuedAt: s.RotatedAt.Unix(),
		ID:       randomID(),
		Session:  s.ID,
		Created:  s.CreatedAt.UnixMilli(),
		Actor:    actorOf(s),
	}
	if s.Impersonation {
		claims.Reason = s.Reason
	}
	token, err := sign(key, &claims)
	return token, expires, err
}

func actorOf(s *Session) *actClaim {
	if !s.Impersonation {
		return nil
	}
	return &actClaim{Subject: s.Actor.Subject, Issuer: s.Actor.Issuer}
}

func sign(key *SigningKey, claims any) (string, error) {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false) // six bytes for each "<" would make some tokens too long to send
	if err := encoder.Encode(claims); err != nil {
		return "", fmt.Errorf("serialising claims: %w", err)
	}
	token, err := key.private.Sign(key.header, bytes.TrimSuffix(data.Bytes(), []byte("\n")))
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return token, nil
}

// randomID returns 128 random bits in base64url.
func randomID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

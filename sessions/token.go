package sessions

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"authsidecar/sessions/keyring"
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
	return sign(key.Sign, func(w *jsonWriter) { m.refreshClaims(w, s) })
}

// refreshClaims writes claims in an order that never changes, since what an earlier
// release minted is minted again.
func (m *Minter) refreshClaims(w *jsonWriter, s *Session) {
	w.text("iss", m.Issuer)
	w.text("aud", m.RefreshAudience)
	w.text("sub", s.UserID)
	w.text("sid", s.ID)
	w.text("client_id", s.ClientID)
	w.uint("gen", s.Generation)
	w.bytes("rnd", s.Secret[:])
	w.int("iat", s.RotatedAt.Unix())
	w.int("exp", s.End().Unix())
	w.act(s)
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
	issued := s.RotatedAt
	if now.Before(issued) {
		issued = now
	}
	expires := issued.Add(m.AccessTTL)
	if end := s.End(); end.Before(expires) {
		expires = end
	}
	token, err := sign(key.Sign, func(w *jsonWriter) { m.accessClaims(w, s, randomID(), issued, expires) })
	return token, expires, err
}

func (m *Minter) accessClaims(w *jsonWriter, s *Session, id string, issued, expires time.Time) {
	w.text("iss", m.Issuer)
	w.int("exp", expires.Unix())
	w.audience("aud", m.AccessAudience)
	w.text("sub", s.UserID)
	w.text("client_id", s.ClientID)
	w.int("iat", issued.Unix())
	w.text("jti", id)
	w.text("sid", s.ID)
	w.int("sid_iat", s.CreatedAt.UnixMilli()) // when the session was created
	if m.StoreID != nil {
		w.optional("store", m.StoreID())
	}
	w.act(s)
	if s.Impersonation {
		w.optional("reason", s.Reason)
	}
	m.kept(w, s, expires)
}

// act writes who acts as the subject, where that is somebody else (RFC 8693 section
// 4.1).
func (w *jsonWriter) act(s *Session) {
	if !s.Impersonation {
		return
	}
	w.name("act")
	*w = append(*w, '{')
	w.text("sub", s.Actor.Subject)
	w.text("iss", s.Actor.Issuer)
	*w = append(*w, '}')
}

// audience writes one string where there is one, as RFC 7519 section 4.1.3 allows
// and every verifier understands.
func (w *jsonWriter) audience(name string, audience []string) {
	if len(audience) == 1 {
		w.text(name, audience[0])
		return
	}
	w.name(name)
	sep := byte('[')
	for _, one := range audience {
		*w = append(*w, sep)
		sep = ','
		w.quote(one)
	}
	w.shut(sep, '[', ']')
}

// sign returns a token, by sign, of the claims that write writes.
func sign(sign func(claims []byte) (string, error), write func(*jsonWriter)) (string, error) {
	w := claimWriters.Get().(*jsonWriter)
	defer claimWriters.Put(w)
	*w = append((*w)[:0], '{')
	write(w)
	*w = append(*w, '}')
	return sign(*w)
}

var claimWriters = sync.Pool{New: func() any { return new(jsonWriter) }}

// randomID returns 128 random bits in base64url.
func randomID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

package sessions

import (
	"cmp"
	"time"
)

// SecretSize is the size in bytes of the random part of a refresh token:
// 128 bits, as RFC 6749 section 10.10 asks at the least.
const SecretSize = 16

// A Principal is a party known by who vouches for it and under which name:
// the same subject of two issuers is two principals.
type Principal struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

// A Key names one session: the realm (the issuer of the block that owns it)
// and the session's id, unique within the realm.
type Key struct {
	Realm string
	ID    string
}

// A Session is one row of the store. It holds no token: a token is known by
// (ID, Generation, Secret) and is minted again from the row when needed.
//
// All times are UTC in whole milliseconds. A zero time means "never".
type Session struct {
	Realm string
	ID    string

	// UserID is whom the session is for: the "sub" of its tokens.
	UserID string
	// ClientID is the OAuth client that the session is bound to.
	ClientID string
	// Impersonation means that the caller is not the user.
	Impersonation bool
	// Reason is why the caller wanted the session, in the caller's words.
	Reason string

	// Actor is the caller who created the session.
	Actor Principal
	// ActorClient is the client_id or azp of the caller's token.
	ActorClient string
	// ActorSub is the "sub" of the caller's token where another claim names them, and
	// ActorSID its "sid": by which the issuer says that somebody signed out.
	ActorSub string
	ActorSID string
	// ActorAuthAt is when the caller authenticated at the issuer, as far as their token
	// says: its "auth_time", else its "iat", in whole seconds. Zero: it said neither, or the
	// row is of a release that did not record it.
	ActorAuthAt time.Time
	// ActorClaims are the caller's claims that the rules looked at: what the
	// policy is asked with again at each refresh.
	ActorClaims Claims
	// ActorAbsent are the claims that the rules looked at and the caller's token did
	// not have. What the token said of any other claim is
	// unknown, unless ActorWhole is set: then ActorClaims are all of its claims.
	ActorAbsent []string
	ActorWhole  bool
	// Kept are the claims of the caller's token that a user's own session keeps for its
	// access tokens, and KeptAt is when the caller's token was issued.
	Kept   Claims
	KeptAt time.Time
	// Rule is the rule that allowed the session, for people.
	Rule string
	// IP and UserAgent are of the request that created the session, or where its caller
	// reported them (CreateRequest.ReportedIP) of the caller's own client.
	IP        string
	UserAgent string
	// ReportedBy is the address that the request came from whose caller reported IP and
	// UserAgent; "" where nobody did.
	ReportedBy string

	// CreatedAt is when the session began, and its place in the order of what begins and
	// of cutoffs (revocation.Store). Zero is a session that has not begun.
	CreatedAt time.Time
	// ExpiresAt is the absolute end. Nothing extends it.
	ExpiresAt time.Time
	// Idle is how long the session lives unused; at most ExpiresAt.
	Idle time.Duration

	// Generation is the number of rotations so far.
	Generation uint64
	// Secret is the random part of the live refresh token, SecretPrev that of
	// the one before it.
	Secret     [SecretSize]byte
	SecretPrev [SecretSize]byte
	// KeyID names the key that signed the live refresh token.
	KeyID string
	// RotatedAt is when the live generation began, or was renewed, and so when the session
	// was last used. It never goes back.
	RotatedAt time.Time
	// RotatedFrom is the address that the last rotation came from.
	RotatedFrom string

	// Cookies means that the tokens live in cookies of a browser, where an answer that got
	// lost is noticed much later: see Rotation. It never changes.
	Cookies bool
	// Confirmed is the highest generation that is known to have arrived, and ConfirmedAt is
	// when that was written down. The first generation has none before it: 0 needs no
	// confirming.
	Confirmed   uint64
	ConfirmedAt time.Time

	// RevokedAt is when the session was ended before its time, EndReason why.
	RevokedAt time.Time
	EndReason EndReason

	// Pending is set until the session is opened by its link; nil: it was, or has none.
	Pending *Pending

	// RequestHash is the SHA-256 of the request that created the session, kept
	// where it came with an Idempotency-Key; else empty.
	RequestHash []byte
}

// EndReason is why a session was ended before its time.
type EndReason string

// The reasons that end a session.
const (
	EndRevoked     EndReason = "revoked"      // by the user, the actor or a manager
	EndReplaced    EndReason = "replaced"     // gave way to a newer one (max_per_user)
	EndReuse       EndReason = "reuse"        // a used refresh token came back
	EndStoreBehind EndReason = "store_behind" // a token was ahead of the store
	EndPolicy      EndReason = "policy"       // today's policy says no
)

// Begin sets the times of a session that begins now, at that place of the order, which
// is now or somewhat later. ExpiresAt keeps its distance from CreatedAt.
func (s *Session) Begin(now, place time.Time) {
	life := s.ExpiresAt.Sub(s.CreatedAt)
	s.CreatedAt, s.RotatedAt, s.ExpiresAt = place, now, now.Add(life)
}

// Key returns the name of the session.
func (s *Session) Key() Key { return Key{Realm: s.Realm, ID: s.ID} }

// RequestIP returns the address that the request came from that created the session.
func (s *Session) RequestIP() string { return cmp.Or(s.ReportedBy, s.IP) }

// IdleEnd returns when the session ends unless it is used before.
func (s *Session) IdleEnd() time.Time { return s.RotatedAt.Add(s.Idle) }

// End returns when the session ends unless it is used before: the sooner of
// its absolute and its idle end.
func (s *Session) End() time.Time {
	if idle := s.IdleEnd(); idle.Before(s.ExpiresAt) {
		return idle
	}
	return s.ExpiresAt
}

// Live reports whether the session is neither ended nor over at now.
func (s *Session) Live(now time.Time) bool {
	return s.RevokedAt.IsZero() && now.Before(s.End())
}

// revokedRetention is how long the row of a revoked session is kept: longer
// than any access token that was minted from it can live (1 h, and leeway).
const revokedRetention = 2 * time.Hour

// PurgeAt returns from when on the row may be swept from the store.
func (s *Session) PurgeAt() time.Time {
	end := s.End()
	if !s.RevokedAt.IsZero() {
		if kept := s.RevokedAt.Add(revokedRetention); kept.Before(end) {
			return kept
		}
	}
	return end
}

// A Ref refers to a session: it is what an access token says of it, and all that it takes
// to know whether it was revoked.
type Ref struct {
	Key
	UserID        string
	Impersonation bool
	Actor         Principal // of an impersonation
	CreatedAt     time.Time
	StoreID       string // of the store that has the session; "" where that is unknown
}

// Ref returns the reference to the session.
func (s *Session) Ref() Ref {
	r := Ref{Key: s.Key(), UserID: s.UserID, Impersonation: s.Impersonation, CreatedAt: s.CreatedAt}
	if s.Impersonation {
		r.Actor = s.Actor
	}
	return r
}

package sessions

import (
	"cmp"
	"time"
)

// SecretSize is the size of the random part of a refresh token, in bytes: 128 bits, the minimum of
// RFC 6749 section 10.10.
const SecretSize = 16

// A Principal is a party, identified by its issuer and the name there. The same subject of two
// issuers is two principals.
type Principal struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

// A Key identifies a session: its realm (our issuer) and its id, which is unique within the realm.
type Key struct {
	Realm string
	ID    string
}

// A Session is a row of the store. It contains no token: a token is identified by (ID, Generation,
// Secret), and minted again from the row when needed.
//
// All times are UTC in whole milliseconds. A zero time means "never".
type Session struct {
	Realm string
	ID    string

	// UserID is the user whom the session is for: the "sub" of its tokens.
	UserID string
	// ClientID is the OAuth client that the session is bound to.
	ClientID string
	// Impersonation means that the caller is not the user.
	Impersonation bool
	// Reason is why the caller asked for the session, in their own words.
	Reason string

	// Actor is the caller who created the session.
	Actor Principal
	// ActorClient is the client_id or azp of the caller's token.
	ActorClient string
	// ActorSub is the "sub" of the caller's token if another claim identifies them, and ActorSID
	// its "sid". The issuer uses both in logouts.
	ActorSub string
	ActorSID string
	// ActorAuthAt is when the caller authenticated at the issuer, in whole seconds: "auth_time", or
	// else "iat". It is zero if their token had neither, or if the row is of a release that did not
	// record it.
	ActorAuthAt time.Time
	// ActorClaims are the caller's claims that the rules read. The policy is applied to them again
	// at each refresh.
	ActorClaims Claims
	// ActorAbsent are the claims that the rules read and that the caller's token did not have. All
	// other claims are unknown, unless ActorWhole is set: then ActorClaims are all claims of the
	// token.
	ActorAbsent []string
	ActorWhole  bool
	// Kept are the claims of the caller's token that a user's own session keeps for its access
	// tokens, and KeptAt is when that token was issued.
	Kept   Claims
	KeptAt time.Time
	// Rule is the rule that allowed the session, for people to read.
	Rule string
	// IP and UserAgent describe the request that created the session or, if the caller reported
	// them (CreateRequest.ReportedIP), the caller's own client.
	IP        string
	UserAgent string
	// ReportedBy is the address of the caller that reported IP and UserAgent; "" if they were not
	// reported.
	ReportedBy string

	// CreatedAt is when the session began, and its position in the order of sessions and cutoffs
	// (revocation.Store). It is zero if the session has not begun.
	CreatedAt time.Time
	// ExpiresAt is the absolute end of the session. It is never extended.
	ExpiresAt time.Time
	// Idle is how long the session lives unused, up to ExpiresAt.
	Idle time.Duration

	// Generation is the number of rotations.
	Generation uint64
	// Secret is the random part of the live refresh token, SecretPrev that of the previous one.
	Secret     [SecretSize]byte
	SecretPrev [SecretSize]byte
	// KeyID identifies the key that signed the live refresh token.
	KeyID string
	// RotatedAt is when the live generation began, or was renewed: the last use of the session. It
	// never goes backward.
	RotatedAt time.Time
	// RotatedFrom is the address of the last rotation.
	RotatedFrom string

	// Cookies means that the tokens live in a browser's cookies, where a lost response is noticed
	// much later: see Rotation. It never changes.
	Cookies bool
	// Confirmed is the highest generation that is known to have arrived, and ConfirmedAt when that
	// was recorded. The first generation, 0, has no predecessor and needs no confirmation.
	Confirmed   uint64
	ConfirmedAt time.Time

	// RevokedAt is when the session was revoked, and EndReason why.
	RevokedAt time.Time
	EndReason EndReason

	// Pending is set until the session is opened by its link. It is nil for all other sessions.
	Pending *Pending

	// RequestHash is the SHA-256 of the request that created the session, if it had an
	// Idempotency-Key; otherwise empty.
	RequestHash []byte
}

// EndReason is why a session was revoked.
type EndReason string

// Reasons for a revocation.
const (
	EndRevoked     EndReason = "revoked"      // by the user, the actor or a manager
	EndReplaced    EndReason = "replaced"     // evicted (max_per_user)
	EndReuse       EndReason = "reuse"        // a used refresh token was presented again
	EndStoreBehind EndReason = "store_behind" // a token was ahead of the store
	EndPolicy      EndReason = "policy"       // the current policy refused
)

// Begin sets the times of a session that begins now. place is its position in the order of sessions
// and cutoffs: now or somewhat later. ExpiresAt keeps its distance from CreatedAt.
func (s *Session) Begin(now, place time.Time) {
	life := s.ExpiresAt.Sub(s.CreatedAt)
	s.CreatedAt, s.RotatedAt, s.ExpiresAt = place, now, now.Add(life)
}

// Key returns the key of the session.
func (s *Session) Key() Key { return Key{Realm: s.Realm, ID: s.ID} }

// RequestIP returns the address of the request that created the session.
func (s *Session) RequestIP() string { return cmp.Or(s.ReportedBy, s.IP) }

// IdleEnd returns when the session ends if it is not used before.
func (s *Session) IdleEnd() time.Time { return s.RotatedAt.Add(s.Idle) }

// End returns when the session ends if it is not used before: its absolute end or its idle end,
// whichever is earlier.
func (s *Session) End() time.Time {
	if idle := s.IdleEnd(); idle.Before(s.ExpiresAt) {
		return idle
	}
	return s.ExpiresAt
}

// Live reports whether the session is neither revoked nor expired at now.
func (s *Session) Live(now time.Time) bool {
	return s.RevokedAt.IsZero() && now.Before(s.End())
}

// revokedRetention is how long the row of a revoked session is kept: longer than any access token
// minted from it can live (1 h, plus leeway).
const revokedRetention = 2 * time.Hour

// PurgeAt returns when the row may be swept.
func (s *Session) PurgeAt() time.Time {
	end := s.End()
	if !s.RevokedAt.IsZero() {
		if kept := s.RevokedAt.Add(revokedRetention); kept.Before(end) {
			return kept
		}
	}
	return end
}

// A Ref refers to a session. It is the part of an access token that is needed to check whether the
// session was revoked.
type Ref struct {
	Key
	UserID        string
	Impersonation bool
	Actor         Principal // if it is an impersonation
	CreatedAt     time.Time
	StoreID       string // identity of the store of the session; "" if unknown
}

// Ref returns the reference to the session.
func (s *Session) Ref() Ref {
	r := Ref{Key: s.Key(), UserID: s.UserID, Impersonation: s.Impersonation, CreatedAt: s.CreatedAt}
	if s.Impersonation {
		r.Actor = s.Actor
	}
	return r
}

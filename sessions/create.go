package sessions

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"authsidecar/sessions/event"
)

// repeatWindow is how long a request with an Idempotency-Key can be repeated
// and get its tokens again.
const repeatWindow = 5 * time.Minute

// A CreateRequest asks for a session.
type CreateRequest struct {
	Caller *Caller
	UserID string
	// Lifetime is what the request asks; nil takes the default that applies.
	Lifetime *time.Duration
	// Reason is why, for people: at most maxReason bytes.
	Reason string
	// ClientID is the OAuth client that gets the session; "" for the caller's own, and
	// our issuer where it has none. Another one needs a rule that holds by it, or
	// Manager.Clients.
	ClientID string
	// IdempotencyKey makes repeating the request safe; "" for none.
	IdempotencyKey string
	// IP and UserAgent are of the request.
	IP        string
	UserAgent string
}

// Create makes a session for a user if the policy lets the caller have one. The
// errors are ErrUserID, ErrText, ErrKept, ErrLifetime, ErrDenied, ErrReasonRequired,
// ErrClient, ErrIdempotencyMismatch, ErrIdempotencySpent, keyring.ErrNoKey and ErrUnavailable.
//
// The grant is returned after the row is durable.
func (m *Manager) Create(ctx context.Context, req *CreateRequest) (*Grant, error) {
	now := m.Store.Now()
	wanted, err := m.prepare(req, now)
	m.shadow(ctx, req, wanted, err)
	if err != nil {
		m.observe(ctx, event.Denied, wanted, err)
		return nil, err
	}
	if err := m.observer().Before(ctx, event.Created, wanted); err != nil {
		m.observe(ctx, event.Denied, wanted, err)
		return nil, err
	}
	stored, created, count, err := m.put(ctx, *wanted)
	if err != nil {
		err = fmt.Errorf("storing session: %w", err)
		m.observe(ctx, event.Failed, wanted, err)
		return nil, err
	}
	kind := event.Created
	if created {
		now = stored.RotatedAt
	} else {
		kind = event.Repeated
		if err := m.repeatable(&stored, wanted, now); err != nil {
			m.observe(ctx, event.Denied, wanted, err)
			return nil, err
		}
	}
	grant, err := m.grant(&stored, now)
	if err != nil {
		m.observe(ctx, event.Failed, &stored, err)
		return nil, err
	}
	m.observe(ctx, kind, &stored, nil)
	if created && count > m.MaxPerUser {
		m.enforceLimit(ctx, &stored)
	}
	return grant, nil
}

// put is Store.Create with the store's time for that of this node.
func (m *Manager) put(ctx context.Context, row Session) (stored Session, created bool, count int, err error) {
	life := row.ExpiresAt.Sub(row.CreatedAt)
	row.CreatedAt, row.RotatedAt, row.ExpiresAt = time.Time{}, time.Time{}, time.Time{}.Add(life)
	return m.Store.Create(ctx, row)
}

// prepare returns the row that the request is to get. Where the answer is no, the
// row holds only what the log wants to know of the request.
func (m *Manager) prepare(req *CreateRequest, now time.Time) (*Session, error) {
	s := &Session{
		Realm:       m.Realm,
		UserID:      req.UserID,
		ClientID:    cmp.Or(req.ClientID, req.Caller.ClientID, m.Realm),
		Reason:      req.Reason,
		Actor:       req.Caller.Principal,
		ActorClient: req.Caller.ClientID,
		ActorSub:    req.Caller.sub(),
		ActorSID:    req.Caller.sid(),
		IP:          req.IP,
		UserAgent:   clip(req.UserAgent, maxAgent),
		CreatedAt:   now,
		RotatedAt:   now,
	}
	if err := CheckUserID(req.UserID); err != nil {
		s.UserID = clip(req.UserID, maxUserID)
		return s, err
	}
	if len(s.Reason) > maxReason || !cleanText(s.Reason) || len(s.ClientID) > maxClientID || !cleanText(s.ClientID) {
		s.Reason, s.ClientID = clip(s.Reason, maxReason), clip(s.ClientID, maxClientID)
		return s, ErrText
	}
	decision, err := m.Policy.Decide(m.input(req.Caller, s))
	if err != nil {
		return s, err
	}
	s.Impersonation, s.Rule = decision.Impersonation, decision.Rule
	if err := m.record(s, req.Caller, now); err != nil {
		return s, err
	}
	if err := m.setLife(s, req.Lifetime); err != nil {
		return s, err
	}
	key, err := m.Minter.Keys.Refresh.Signing(now)
	if err != nil {
		return s, err
	}
	s.KeyID = key.ID()
	m.identify(s, req)
	return s, nil
}

// input is what rules are asked about a session of that caller.
func (m *Manager) input(c *Caller, s *Session) *RuleInput {
	return &RuleInput{
		Caller: c, UserID: s.UserID, Reason: s.Reason, ClientID: s.ClientID,
		OtherClient: s.ClientID != cmp.Or(c.ClientID, m.Realm) && !m.Clients[s.ClientID],
	}
}

// setLife sets the ends of the session, or returns ErrLifetime.
func (m *Manager) setLife(s *Session, asked *time.Duration) error {
	limits := m.Own
	if s.Impersonation {
		limits = m.Impersonation
	}
	life := limits.TTL
	if asked != nil {
		life = *asked
	}
	if life <= 0 || life > limits.MaxTTL {
		return ErrLifetime
	}
	s.ExpiresAt = s.CreatedAt.Add(life)
	s.Idle = limits.Idle
	return nil
}

// identify gives the session its id and its first secret. With an idempotency
// key the id is made from it, so that a repeated request finds its session.
func (m *Manager) identify(s *Session, req *CreateRequest) {
	_, _ = rand.Read(s.Secret[:]) // it never fails: it ends the process instead
	if req.IdempotencyKey == "" {
		s.ID = randomID()
		return
	}
	mac := hmac.New(sha256.New, m.IDSecret)
	writeParts(mac, "session id", m.Realm, s.Actor.Issuer, s.Actor.Subject, req.IdempotencyKey)
	s.ID = base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])

	hash := sha256.New()
	life := "default"
	if req.Lifetime != nil {
		life = req.Lifetime.String()
	}
	writeParts(hash, req.UserID, req.ClientID, req.Reason, life)
	s.RequestHash = hash.Sum(nil)
}

// writeParts writes the parts so that no other parts give the same bytes.
func writeParts(w interface{ Write([]byte) (int, error) }, parts ...string) {
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		_, _ = w.Write(size[:])
		_, _ = w.Write([]byte(part))
	}
}

// repeatable reports whether the stored session may be answered again to a request
// for the wanted one.
func (m *Manager) repeatable(stored, wanted *Session, now time.Time) error {
	if subtle.ConstantTimeCompare(stored.RequestHash, wanted.RequestHash) != 1 || len(wanted.RequestHash) == 0 {
		return ErrIdempotencyMismatch
	}
	if !m.live(stored, now) || stored.Impersonation != wanted.Impersonation || stored.Generation != 0 || now.Sub(stored.RotatedAt) > repeatWindow {
		return ErrIdempotencySpent
	}
	return nil
}

package sessions

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"authsidecar/sessions/event"
)

// repeatWindow is how long a request with an Idempotency-Key can be repeated to get the same
// tokens.
const repeatWindow = 5 * time.Minute

// A CreateRequest is a request for a session.
type CreateRequest struct {
	Caller *Caller
	UserID string
	// Lifetime is the requested lifetime; nil means the default.
	Lifetime *time.Duration
	// Reason is the caller's reason, for people to read: at most maxReason bytes.
	Reason string
	// ClientID is the OAuth client that gets the session. "" means the caller's own client, or our
	// issuer if the caller has none. Any other client requires a rule that matches it, or an entry
	// in Manager.Clients.
	ClientID string
	// ClientAuthenticated is set if that client sent the request itself and authenticated.
	ClientAuthenticated bool
	// Cookies is set if the tokens will live in a browser's cookies: see Session.Cookies.
	Cookies bool
	// Console is set for a sign-in at the console (Minter.Console): the session is valid only
	// there, and the row also records the claims that Manager.Manage reads.
	Console bool
	// IdempotencyKey makes the request safe to repeat; "" means that it is not.
	IdempotencyKey string
	// Link asks for a session that is pending until its link is opened. ReturnTo is the path on the
	// site that the browser is then sent to; "" for none.
	Link     bool
	ReturnTo string
	// IP and UserAgent describe the request.
	IP        string
	UserAgent string
	// ReportedIP and ReportedAgent describe the caller's own client, as reported by a back end. The
	// session stores them instead of IP and UserAgent. Reporting requires a rule of
	// Manager.ReportClient; the zero value reports nothing.
	ReportedIP    netip.Addr
	ReportedAgent string
}

// A creation is one request for a session while a Manager handles it.
type creation struct {
	*Manager
	req *CreateRequest
}

// create implements Manager.Create.
func (c *creation) create(ctx context.Context) (*Grant, error) {
	now := c.Store.Now()
	wanted, err := c.prepare(now)
	c.shadow(ctx, wanted, err)
	if err != nil {
		c.observe(ctx, event.Denied, wanted, err)
		return nil, err
	}
	if err := c.admit(ctx, wanted); err != nil {
		return nil, err
	}
	grant, created, count, err := c.insert(ctx, *wanted)
	if err != nil {
		err = fmt.Errorf("storing session: %w", err)
		c.observe(ctx, event.Failed, wanted, err)
		return nil, err
	}
	kind, stored := event.Created, &grant.Session
	if created {
		if err := c.admitAgain(ctx, stored); err != nil {
			return nil, err
		}
		now = stored.RotatedAt
	} else {
		kind = event.Repeated
		if err := c.checkRepeat(stored, wanted, now); err != nil {
			c.observe(ctx, event.Denied, wanted, err)
			return nil, err
		}
	}
	if err := c.mint(grant, now); err != nil {
		c.observe(ctx, event.Failed, stored, err)
		return nil, err
	}
	c.observe(ctx, kind, stored, nil)
	if created && count > c.MaxPerUser && stored.Pending == nil {
		(&eviction{c.Manager, stored}).enforce(ctx)
	}
	return grant, nil
}

// insert calls Store.Create with the store's time in place of this node's, and returns a grant of
// the stored session.
func (c *creation) insert(ctx context.Context, row Session) (g *Grant, created bool, count int, err error) {
	life := row.ExpiresAt.Sub(row.CreatedAt)
	row.CreatedAt, row.RotatedAt, row.ExpiresAt = time.Time{}, time.Time{}, time.Time{}.Add(life)
	g = new(Grant)
	g.Session, created, count, err = c.Store.Create(ctx, row)
	return g, created, count, err
}

// prepare returns the row for the request. If the request is refused, the row holds only what the
// log records of it.
func (c *creation) prepare(now time.Time) (*Session, error) {
	s := &Session{
		Realm:       c.Realm,
		UserID:      c.req.UserID,
		ClientID:    c.clientID(),
		Reason:      c.req.Reason,
		Actor:       c.req.Caller.Principal,
		ActorClient: c.req.Caller.ClientID,
		ActorSub:    c.req.Caller.sub(),
		ActorSID:    c.req.Caller.sid(),
		ActorAuthAt: c.req.Caller.AuthAt(),
		IP:          c.req.IP,
		UserAgent:   clip(c.req.UserAgent, maxAgent),
		Cookies:     c.req.Cookies || c.req.Link,
		CreatedAt:   now,
		RotatedAt:   now,
	}
	if err := CheckUserID(c.req.UserID); err != nil {
		s.UserID = clip(c.req.UserID, maxUserID)
		return s, err
	}
	if len(s.Reason) > maxReason || !cleanText(s.Reason) || len(s.ClientID) > maxClientID || !cleanText(s.ClientID) {
		s.Reason, s.ClientID = clip(s.Reason, maxReason), clip(s.ClientID, maxClientID)
		return s, ErrText
	}
	if err := c.decide(s); err != nil {
		return s, err
	}
	if err := c.record(s, now); err != nil {
		return s, err
	}
	if err := c.setLife(s); err != nil {
		return s, err
	}
	key, err := c.Minter.Keys.Refresh.Signing(now)
	if err != nil {
		return s, err
	}
	s.KeyID = key.ID()
	c.identify(s)
	return s, nil
}

// clientID returns the client that the session is bound to.
func (c *creation) clientID() string {
	if c.req.Console {
		return c.Minter.Console
	}
	return cmp.Or(c.req.ClientID, c.req.Caller.ClientID, c.Realm)
}

// setLife sets when the session ends, or returns ErrLifetime.
func (c *creation) setLife(s *Session) error {
	limits := c.Own
	if s.Impersonation {
		limits = c.Impersonation
	}
	life := limits.TTL
	if c.req.Lifetime != nil {
		life = *c.req.Lifetime
	}
	if life <= 0 || life > limits.MaxTTL {
		return ErrLifetime
	}
	s.Idle = limits.Idle
	if c.req.Link {
		s.Pending = &Pending{Life: life, ReturnTo: c.req.ReturnTo, ByActor: c.callerOpensLinks()}
		life = c.LinkTTL
	}
	s.ExpiresAt = s.CreatedAt.Add(life)
	return nil
}

// callerOpensLinks reports whether the caller is a person who signs in where links are opened.
func (c *creation) callerOpensLinks() bool {
	trust := c.trust(c.req.Caller.Issuer)
	return c.SignIn != "" && trust != nil && trust.Name == c.SignIn && !c.req.Caller.IsMachine()
}

// identify sets the id and the first secret of the session. With an idempotency key, the id is
// derived from it, so that a repeated request finds its session.
func (c *creation) identify(s *Session) {
	_, _ = rand.Read(s.Secret[:]) // never fails: it crashes the process instead
	if c.req.IdempotencyKey == "" {
		s.ID = randomID()
		return
	}
	mac := hmac.New(sha256.New, c.IDSecret)
	writeParts(mac, "session id", c.Realm, s.Actor.Issuer, s.Actor.Subject, c.req.IdempotencyKey)
	s.ID = encodeID(mac.Sum(nil)[:16])

	hash := sha256.New()
	life := "default"
	if c.req.Lifetime != nil {
		life = c.req.Lifetime.String()
	}
	writeParts(hash, c.req.UserID, c.req.ClientID, c.req.Reason, life)
	if c.req.Cookies {
		writeParts(hash, "cookies")
	}
	if c.req.Link {
		writeParts(hash, "link", c.req.ReturnTo)
	}
	if c.req.ReportedIP.IsValid() {
		writeParts(hash, "client", s.IP, s.UserAgent)
	}
	s.RequestHash = hash.Sum(nil)
}

// writeParts writes parts to w unambiguously: different parts never give the same bytes.
func writeParts(w interface{ Write([]byte) (int, error) }, parts ...string) {
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		_, _ = w.Write(size[:])
		_, _ = w.Write([]byte(part))
	}
}

// checkRepeat returns nil if the stored session may be returned again for the wanted one.
func (c *creation) checkRepeat(stored, wanted *Session, now time.Time) error {
	if subtle.ConstantTimeCompare(stored.RequestHash, wanted.RequestHash) != 1 || len(wanted.RequestHash) == 0 {
		return ErrIdempotencyMismatch
	}
	if (stored.Pending == nil) != (wanted.Pending == nil) || !c.isLive(stored, now) || stored.Impersonation != wanted.Impersonation || stored.Generation != 0 || now.Sub(stored.RotatedAt) > repeatWindow {
		return ErrIdempotencySpent
	}
	return nil
}

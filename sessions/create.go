package sessions

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
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
	// ClientAuthenticated is set where the request came from that client, which proved it.
	ClientAuthenticated bool
	// Cookies is set where the tokens are to live in cookies of a browser: see Session.Cookies.
	Cookies bool
	// Console is set where a person signed in at the console (Minter.Console): the session is good
	// there alone, and records what Manager.Manage looks at too.
	Console bool
	// IdempotencyKey makes repeating the request safe; "" for none.
	IdempotencyKey string
	// Link asks for a session that is pending until its link is opened, and ReturnTo is where the
	// browser goes then: a path of the site, "" for none.
	Link     bool
	ReturnTo string
	// IP and UserAgent are of the request.
	IP        string
	UserAgent string
	// ReportedIP and ReportedAgent are of the caller's own client, as a back end reports them:
	// the session keeps them for its own. That needs a rule of Manager.ReportClient. The zero
	// value reports nothing.
	ReportedIP    netip.Addr
	ReportedAgent string
}

// A creation is one request for a session, on its way through a Manager.
type creation struct {
	*Manager
	req *CreateRequest
}

// create does what Manager.Create says.
func (c *creation) create(ctx context.Context) (*Grant, error) {
	now := c.Store.Now()
	wanted, err := c.prepare(now)
	c.shadow(ctx, wanted, err)
	if err != nil {
		c.observe(ctx, event.Denied, wanted, err)
		return nil, err
	}
	if err := c.admitted(ctx, wanted); err != nil {
		return nil, err
	}
	stored, created, count, err := c.put(ctx, *wanted)
	if err != nil {
		err = fmt.Errorf("storing session: %w", err)
		c.observe(ctx, event.Failed, wanted, err)
		return nil, err
	}
	kind := event.Created
	if created {
		if err := c.stillAdmitted(ctx, &stored); err != nil {
			return nil, err
		}
		now = stored.RotatedAt
	} else {
		kind = event.Repeated
		if err := c.repeatable(&stored, wanted, now); err != nil {
			c.observe(ctx, event.Denied, wanted, err)
			return nil, err
		}
	}
	grant, err := c.grant(&stored, now)
	if err != nil {
		c.observe(ctx, event.Failed, &stored, err)
		return nil, err
	}
	c.observe(ctx, kind, &stored, nil)
	if created && count > c.MaxPerUser && stored.Pending == nil {
		(&eviction{c.Manager, &stored}).enforce(ctx)
	}
	return grant, nil
}

// put is Store.Create with the store's time for that of this node.
func (c *creation) put(ctx context.Context, row Session) (stored Session, created bool, count int, err error) {
	life := row.ExpiresAt.Sub(row.CreatedAt)
	row.CreatedAt, row.RotatedAt, row.ExpiresAt = time.Time{}, time.Time{}, time.Time{}.Add(life)
	return c.Store.Create(ctx, row)
}

// prepare returns the row that the request is to get. Where the answer is no, the
// row holds only what the log wants to know of the request.
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

// decide asks the policy, and sets what kind of session it is.
func (c *creation) decide(s *Session) error {
	decision, err := c.Policy.Decide(c.input(c.req.Caller, s))
	if err != nil {
		return err
	}
	if c.claimsClient() || c.ofConsole(s) != c.req.Console {
		return ErrClient
	}
	s.Impersonation, s.Rule = decision.Impersonation, decision.Rule
	return c.takeReport(s)
}

// unknownAddress is where a request came from that has no address, as one by a Unix socket.
const unknownAddress = "unknown"

// takeReport gives the session the client that the caller reports, if a rule lets them.
func (c *creation) takeReport(s *Session) error {
	if !c.req.ReportedIP.IsValid() {
		return nil
	}
	caller, in := c.req.Caller, c.input(c.req.Caller, s)
	may := func(r Rule) bool { return r.From == caller.From() && caller.knows(r.When) && r.When.Holds(in) }
	if !slices.ContainsFunc(c.ReportClient, may) {
		return ErrReport
	}
	s.IP, s.UserAgent = c.req.ReportedIP.Unmap().String(), clip(c.req.ReportedAgent, maxAgent)
	s.ReportedBy = cmp.Or(c.req.IP, unknownAddress)
	return nil
}

// record notes in the row what the rules, and the conditions of the caller's trust, look
// at, and what the session keeps of the caller's token.
func (c *creation) record(s *Session, now time.Time) error {
	var asked []Condition
	if trust := c.trust(c.req.Caller.Issuer); trust != nil {
		asked = trust.conditions()
	}
	for i := range c.Manage {
		if c.req.Console && c.Manage[i].From == c.req.Caller.From() {
			asked = append(slices.Clip(asked), c.Manage[i].When)
		}
	}
	c.Policy.record(s, c.req.Caller, asked...)
	return c.keep(s, now)
}

// keep notes in the row of a user's own session the claims of their token that it keeps,
// and when they were true. An impersonated session keeps none: they are the actor's.
func (c *creation) keep(s *Session, now time.Time) (err error) {
	if s.Impersonation {
		return nil
	}
	most := maxKept
	if s.Cookies {
		most = maxKeptInCookies
	}
	s.Kept, s.KeptAt, err = c.req.Caller.Claims.kept(c.Minter.Claims, most, now)
	return err
}

// claimsClient reports whether a request names a client that authenticates, and does not come from
// it. Rules and apps go by the client, so nobody may say that they are one.
func (c *creation) claimsClient() bool {
	return c.Minter.Confidential[c.req.ClientID] && !c.req.ClientAuthenticated && c.req.ClientID != c.req.Caller.ClientID
}

// setLife sets the ends of the session, or returns ErrLifetime.
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
		s.Pending = &Pending{Life: life, ReturnTo: c.req.ReturnTo, ByActor: c.opensThemselves()}
		life = c.LinkTTL
	}
	s.ExpiresAt = s.CreatedAt.Add(life)
	return nil
}

// opensThemselves reports whether the caller is a person who signs in where links are opened.
func (c *creation) opensThemselves() bool {
	trust := c.trust(c.req.Caller.Issuer)
	return c.SignIn != "" && trust != nil && trust.Name == c.SignIn && !c.req.Caller.IsMachine()
}

// identify gives the session its id and its first secret. With an idempotency
// key the id is made from it, so that a repeated request finds its session.
func (c *creation) identify(s *Session) {
	_, _ = rand.Read(s.Secret[:]) // it never fails: it ends the process instead
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
func (c *creation) repeatable(stored, wanted *Session, now time.Time) error {
	if subtle.ConstantTimeCompare(stored.RequestHash, wanted.RequestHash) != 1 || len(wanted.RequestHash) == 0 {
		return ErrIdempotencyMismatch
	}
	if (stored.Pending == nil) != (wanted.Pending == nil) || !c.live(stored, now) || stored.Impersonation != wanted.Impersonation || stored.Generation != 0 || now.Sub(stored.RotatedAt) > repeatWindow {
		return ErrIdempotencySpent
	}
	return nil
}

// shadow reports what the shadow policy says of a request, which decides nothing. cause is
// why the request was refused, if it was.
func (c *creation) shadow(ctx context.Context, wanted *Session, cause error) {
	if c.Shadow == nil || errors.Is(cause, ErrUserID) || errors.Is(cause, ErrText) {
		return
	}
	decision, err := c.Shadow.Decide(c.input(c.req.Caller, wanted))
	tried := *wanted
	tried.ID = "" // there is no session by this
	tried.Rule, tried.Impersonation = decision.Rule, decision.Impersonation
	c.report(ctx, &Event{Kind: event.Shadowed, Session: &tried, IP: c.req.IP, Err: err})
}

package sessions

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"authsidecar/sessions/event"
)

// Lifetimes bound the life of a kind of sessions.
type Lifetimes struct {
	TTL    time.Duration // where the request says nothing
	MaxTTL time.Duration // the most that a request may ask
	Idle   time.Duration // unused for longer, a session ends
}

// A Manager creates sessions, as a policy decides, in one realm of a store. Its
// fields are set once, before its first use.
type Manager struct {
	// Realm is our issuer: what keeps the sessions of several sites in one store
	// apart.
	Realm  string
	Store  Store
	Policy *Policy
	// Shadow is a policy that is reported and enforces nothing: what it says of each request
	// is an event (event.Shadowed). Nil: none.
	Shadow *Policy
	Minter *Minter
	// Manage are the rules by which callers may see and end others' sessions.
	Manage []Rule
	// ReportClient are the rules by which callers may report who their own client is
	// (CreateRequest.ReportedIP).
	ReportClient []Rule
	// Own and Impersonation bound the two kinds of sessions.
	Own           Lifetimes
	Impersonation Lifetimes
	// MaxPerUser is how many sessions of each kind a user may have; the least
	// recently used ones give way. 0 is no limit.
	MaxPerUser int
	// Trusted returns what is configured for an issuer, and nil for one that is not
	// trusted. It is asked again at each refresh. Nil trusts nobody.
	Trusted func(issuer string) *Trust
	// Clients are the OAuth clients that any caller may have a session for. They are
	// asked again at each refresh.
	Clients map[string]bool
	// SignedOut reports whether the issuer of a caller's token ended, since, what the token is
	// from, for a session that the policy allows: an error that wraps ErrDenied, or
	// ErrUnavailable where that is unknown. It is asked before and after the session is
	// stored. Nil: no issuer says so.
	SignedOut func(ctx context.Context, c *Caller, s *Session) error
	// LinkTTL is for how long the link of a pending session is good. 0: none is.
	LinkTTL time.Duration
	// SignIn is the trust (Trust.Name) by which people sign in where links are opened: theirs
	// are opened by themselves. "": nobody signs in there.
	SignIn string
	// Grace is for how long a rotated refresh token may be repeated.
	Grace time.Duration
	// IDSecret makes session ids from idempotency keys: at least 32 bytes, the
	// same on all nodes.
	IDSecret []byte
	// Observer hears of everything that happens, and is asked before some of it. Nil is
	// Silent.
	Observer Observer

	// Revocations knows what was revoked: a revocation.Watcher, one for all who share the
	// store. Nil: the store is asked about each access token, and there are no cutoffs.
	Revocations Revocations

	limiting limitLocks
}

// A Grant is a session and its tokens; of a pending one, no tokens but the code of its link.
type Grant struct {
	Session       Session
	Link          string
	ReturnTo      string // of a session that was opened
	RefreshToken  string
	AccessToken   string
	AccessExpires time.Time
	// Now is the store's clock when the grant was made.
	Now time.Time
}

// Create makes a session for a user if the policy lets the caller have one. The
// errors are ErrUserID, ErrText, ErrKept, ErrLifetime, ErrDenied, ErrReasonRequired,
// ErrClient, ErrReport, ErrIdempotencyMismatch, ErrIdempotencySpent, keyring.ErrNoKey and ErrUnavailable.
//
// The grant is returned after the row is durable.
func (m *Manager) Create(ctx context.Context, req *CreateRequest) (*Grant, error) {
	return (&creation{m, req}).create(ctx)
}

// Refresh exchanges a refresh token for its successor and a new access token.
// The errors wrap ErrGrant where the token is good for nothing, ErrClientAuth where its client
// has to present it, ErrUnavailable
// or keyring.ErrNoKey where that is unknown: then the same token may be sent again.
func (m *Manager) Refresh(ctx context.Context, req *RefreshRequest) (*Grant, error) {
	p, err := m.presented(req)
	if err != nil {
		return nil, err // of no session: nothing happened to any
	}
	return p.refresh(ctx)
}

// Current returns the live session that a refresh token is of. The errors are those of Refresh,
// but without a client the token of any is good: who holds it may look, and sign out. A token that
// proves a reuse revokes its session, as it does at a refresh.
func (m *Manager) Current(ctx context.Context, req *RefreshRequest) (Session, error) {
	p, err := m.presented(req)
	if err != nil {
		return Session{}, err
	}
	return p.current(ctx)
}

// Introspect is Current without consequences: it is a question (RFC 7662 section 2), and who asks
// it is not who presented the token.
func (m *Manager) Introspect(ctx context.Context, req *RefreshRequest) (Session, error) {
	p, err := m.presented(req)
	if err != nil {
		return Session{}, err
	}
	row, out, _, err := p.look(ctx)
	if err == nil {
		err = out.Err
	}
	return row, err
}

// presented verifies the token of a request.
func (m *Manager) presented(req *RefreshRequest) (*presentation, error) {
	token, err := m.Minter.ReadRefresh(req.Token)
	if err != nil {
		return nil, err
	}
	return &presentation{Manager: m, req: req, token: token}, nil
}

func (m *Manager) revocations() Revocations {
	if m.Revocations != nil {
		return m.Revocations
	}
	return askStore{m.Store}
}

func (m *Manager) observer() Observer {
	if m.Observer != nil {
		return m.Observer
	}
	return Silent{}
}

// report calls the observer.
func (m *Manager) report(ctx context.Context, e *Event) { m.observer().Event(ctx, e) }

// observe reports to the observer what the request did that the session is from.
func (m *Manager) observe(ctx context.Context, kind event.Kind, s *Session, err error) {
	m.report(ctx, &Event{Kind: kind, Session: s, IP: s.RequestIP(), Err: err})
}

// grant mints the tokens of the row, or its link.
func (m *Manager) grant(s *Session, now time.Time) (*Grant, error) {
	if s.Pending != nil {
		return &Grant{Session: *s, Link: linkOf(s, m.IDSecret), Now: now}, nil
	}
	refresh, err := m.Minter.Refresh(s)
	if err != nil {
		return nil, err
	}
	access, expires, err := m.Minter.Access(s, now)
	if err != nil {
		return nil, err
	}
	return &Grant{Session: *s, RefreshToken: refresh, AccessToken: access, AccessExpires: expires, Now: now}, nil
}

// input is what rules are asked about a session of that caller.
func (m *Manager) input(c *Caller, s *Session) *RuleInput {
	return &RuleInput{
		Caller: c, UserID: s.UserID, Reason: s.Reason, ClientID: s.ClientID,
		OtherClient: s.ClientID != cmp.Or(c.ClientID, m.Realm) && !m.Clients[s.ClientID] && !m.ofConsole(s),
	}
}

// ofConsole reports whether a session is of somebody who signed in at the console.
func (m *Manager) ofConsole(s *Session) bool {
	return m.Minter.Console != "" && s.ClientID == m.Minter.Console
}

// trust returns what is configured for an issuer; nil where it is not trusted.
func (m *Manager) trust(issuer string) *Trust {
	if m.Trusted == nil {
		return nil
	}
	return m.Trusted(issuer)
}

// An ender is who ended a session, from where, and by which token that names itself ("jti");
// nothing where nobody asked for it.
type ender struct {
	by      Principal
	ip, jti string
}

// end revokes a session, for a reason. It is no error if it was over already. When
// it returns, the access tokens of the session are over too.
func (m *Manager) end(ctx context.Context, key Key, reason EndReason, by ender) error {
	row, ended, err := m.revoke(ctx, key, reason)
	if err != nil {
		return fmt.Errorf("ending session: %w", err)
	}
	m.revocations().Remember(&row)
	if ended {
		m.report(ctx, &Event{Kind: event.Revoked, Session: &row, By: by.by, IP: by.ip, JTI: by.jti})
	}
	return nil
}

func (m *Manager) revoke(ctx context.Context, key Key, reason EndReason) (row Session, ended bool, err error) {
	if store, ok := As[Rotator](m.Store); ok {
		return store.Revoke(ctx, key, reason)
	}
	row, err = m.Store.Update(ctx, key, func(row Session, now time.Time) (Session, bool) {
		ended = row.RevokedAt.IsZero()
		if !ended {
			return row, false
		}
		row.RevokedAt, row.EndReason = now, reason
		return row, true
	})
	return row, ended, err
}

// RevokeFor revokes a session for a reason that whoever says so had the right to: e says who
// that is, from where, and by which token (By, IP, JTI). ErrNotFound: it was swept.
func (m *Manager) RevokeFor(ctx context.Context, key Key, reason EndReason, e *Event) error {
	return m.end(ctx, key, reason, ender{by: e.By, ip: e.IP, jti: e.JTI})
}

// cutOff reports whether a bulk revocation revoked the session.
func (m *Manager) cutOff(s *Session) bool { return m.revocations().RevokedByCutoff(s.Ref()) }

// live reports whether the session is not over at now.
func (m *Manager) live(s *Session, now time.Time) bool { return s.Live(now) && !m.cutOff(s) }

// Ref returns the reference to the session that an access token of ours has.
func (m *Manager) Ref(c *Caller) Ref {
	return Ref{
		Key:           Key{Realm: m.Realm, ID: c.SessionID},
		UserID:        c.Subject,
		Impersonation: c.Acting,
		Actor:         c.Actor,
		CreatedAt:     c.SessionCreated,
		StoreID:       c.StoreID,
	}
}

// Revoked reports whether the session of an access token of ours was revoked. An error
// wraps ErrUnavailable: that is unknown.
func (m *Manager) Revoked(ctx context.Context, c *Caller) (bool, error) {
	return m.revocations().Revoked(ctx, m.Ref(c))
}

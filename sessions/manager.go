package sessions

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"authsidecar/sessions/event"
)

// Lifetimes limit the life of one kind of session.
type Lifetimes struct {
	TTL    time.Duration // default of a request
	MaxTTL time.Duration // maximum of a request
	Idle   time.Duration // a session that is unused for longer ends
}

// A Manager creates and manages sessions in one realm of a store, as its policy decides. Set its
// fields before its first use.
type Manager struct {
	// Realm is our issuer. It separates the sessions of several sites in one store.
	Realm  string
	Store  Store
	Policy *Policy
	// Shadow is a policy that is only reported: its decision for each request is an event
	// (event.Shadowed). Nil means none.
	Shadow *Policy
	Minter *Minter
	// Manage are the rules that let callers see and revoke others' sessions.
	Manage []Rule
	// ReportClient are the rules that let callers report their own client
	// (CreateRequest.ReportedIP).
	ReportClient []Rule
	// Own and Impersonation limit the two kinds of sessions.
	Own           Lifetimes
	Impersonation Lifetimes
	// MaxPerUser is how many sessions of each kind a user may have; the least recently used ones
	// are evicted. 0 means no limit.
	MaxPerUser int
	// Trusted returns the trust of an issuer, or nil if it is not trusted. It is asked again at
	// each refresh. A nil Trusted trusts no issuer.
	Trusted func(issuer string) *Trust
	// Clients are the OAuth clients that any caller may have a session for. They are checked again
	// at each refresh.
	Clients map[string]bool
	// SignedOut is asked before and after a session that the policy allows is stored. It returns an
	// error that wraps ErrDenied if the issuer has logged the caller out since they authenticated,
	// and ErrUnavailable if that is unknown. Nil means that no issuer reports logouts.
	SignedOut func(ctx context.Context, c *Caller, s *Session) error
	// LinkTTL is how long the link of a pending session is valid. 0 disables links.
	LinkTTL time.Duration
	// SignIn is the trust (Trust.Name) with which people sign in where links are opened: an actor
	// of that trust must open the link themselves. "" means that nobody signs in there.
	SignIn string
	// Grace is how long a rotated refresh token may be repeated.
	Grace time.Duration
	// IDSecret derives session ids from idempotency keys: at least 32 bytes, the same on all nodes.
	IDSecret []byte
	// Observer receives all events, and is asked before some. Nil means Silent.
	Observer Observer

	// Revocations knows what was revoked. It is a revocation.Watcher, shared by all managers of the
	// store. Required.
	Revocations Revocations

	limiting [limitLocks]sync.Mutex // held to evict
}

// Create creates a session for a user if the policy allows it. The errors are ErrUserID, ErrText,
// ErrKept, ErrLifetime, ErrDenied, ErrReasonRequired, ErrClient, ErrReport, ErrIdempotencyMismatch,
// ErrIdempotencySpent, keyring.ErrNoKey and ErrUnavailable.
//
// The row is durable before the grant is returned.
func (m *Manager) Create(ctx context.Context, req *CreateRequest) (*Grant, error) {
	return (&creation{m, req}).create(ctx)
}

// Refresh exchanges a refresh token for its successor and a new access token. The errors wrap
// ErrGrant if the token is not valid, ErrClientAuth if its client has to authenticate, and
// ErrUnavailable or keyring.ErrNoKey if that is unknown: then the same token may be sent again.
func (m *Manager) Refresh(ctx context.Context, req *RefreshRequest) (*Grant, error) {
	p, err := m.presented(req)
	if err != nil {
		return nil, err // the token belongs to no session, so there is nothing to report
	}
	return p.refresh(ctx)
}

// Current returns the live session of a refresh token. The errors are those of Refresh. Without a
// client, the token of any client is accepted: its holder may see the session and sign out. A token
// that proves a reuse revokes its session, as at a refresh.
func (m *Manager) Current(ctx context.Context, req *RefreshRequest) (Session, error) {
	p, err := m.presented(req)
	if err != nil {
		return Session{}, err
	}
	return p.current(ctx)
}

// Introspect is Current without side effects (RFC 7662 section 2): the party that asks is not the
// one that presented the token.
func (m *Manager) Introspect(ctx context.Context, req *RefreshRequest) (Session, error) {
	p, err := m.presented(req)
	if err != nil {
		return Session{}, err
	}
	row, out, _, err := p.dryRun(ctx)
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

func (m *Manager) observer() Observer {
	if m.Observer != nil {
		return m.Observer
	}
	return Silent{}
}

// report calls the observer.
func (m *Manager) report(ctx context.Context, e *Event) { m.observer().Event(ctx, e) }

// observe reports what a request did to the session.
func (m *Manager) observe(ctx context.Context, kind event.Kind, s *Session, err error) {
	m.report(ctx, &Event{Kind: kind, Session: s, IP: s.RequestIP(), Err: err})
}

// grant returns a grant of the row.
func (m *Manager) grant(s *Session, now time.Time) (*Grant, error) {
	g := &Grant{Session: *s}
	if err := m.mint(g, now); err != nil {
		return nil, err
	}
	return g, nil
}

// mint mints the tokens of the grant's session, or the code of its link.
func (m *Manager) mint(g *Grant, now time.Time) (err error) {
	s := &g.Session
	g.Now = now
	if s.Pending != nil {
		g.Link = linkOf(s, m.IDSecret)
		return nil
	}
	if g.RefreshToken, err = m.Minter.Refresh(s); err != nil {
		return err
	}
	g.AccessToken, g.AccessExpires, err = m.Minter.Access(s, now)
	return err
}

// input returns the input of rules for a session of the caller.
func (m *Manager) input(c *Caller, s *Session) *RuleInput {
	return &RuleInput{
		Caller: c, UserID: s.UserID, Reason: s.Reason, ClientID: s.ClientID,
		OtherClient: s.ClientID != cmp.Or(c.ClientID, m.Realm) && !m.Clients[s.ClientID] && !m.isConsoleSession(s),
	}
}

// isConsoleSession reports whether the session was created by a sign-in at the console.
func (m *Manager) isConsoleSession(s *Session) bool {
	return m.Minter.Console != "" && s.ClientID == m.Minter.Console
}

// trust returns the trust of an issuer, or nil if it is not trusted.
func (m *Manager) trust(issuer string) *Trust {
	if m.Trusted == nil {
		return nil
	}
	return m.Trusted(issuer)
}

// A revoker is who revoked a session, from which address, and with which token ("jti"). It is empty
// if nobody requested the revocation.
type revoker struct {
	by      Principal
	ip, jti string
}

// revokeFor revokes a session. It is no error if the session had ended already. When it returns, the
// access tokens of the session are refused too.
func (m *Manager) revokeFor(ctx context.Context, key Key, reason EndReason, by revoker) error {
	row, ended, err := m.revoke(ctx, key, reason)
	if err != nil {
		return fmt.Errorf("ending session: %w", err)
	}
	m.Revocations.Remember(&row)
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

// RevokeFor revokes a session on behalf of a party whose right was checked before: e names it, its
// address and its token (By, IP, JTI). ErrNotFound means that the row was swept.
func (m *Manager) RevokeFor(ctx context.Context, key Key, reason EndReason, e *Event) error {
	return m.revokeFor(ctx, key, reason, revoker{by: e.By, ip: e.IP, jti: e.JTI})
}

// revokedByCutoff reports whether a cutoff revoked the session.
func (m *Manager) revokedByCutoff(s *Session) bool { return m.Revocations.RevokedByCutoff(s.Ref()) }

// isLive reports whether the session is live at now.
func (m *Manager) isLive(s *Session, now time.Time) bool { return s.Live(now) && !m.revokedByCutoff(s) }

// Ref returns the reference to the session of one of our access tokens.
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

// Revoked reports whether the session of one of our access tokens was revoked. An error wraps
// ErrUnavailable and means that it is unknown.
func (m *Manager) Revoked(ctx context.Context, c *Caller) (bool, error) {
	return m.Revocations.Revoked(ctx, m.Ref(c))
}

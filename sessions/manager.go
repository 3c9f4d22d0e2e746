package sessions

import (
	"context"
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
	// Confidential are those of Clients that authenticate: a refresh token of theirs is good
	// for nothing without it (RefreshRequest.Client).
	Confidential map[string]bool
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

// An Event is something that happened to a session. It holds no token.
type Event struct {
	Kind event.Kind
	// Session is the row, or the part of one that was asked for.
	Session *Session
	// IP is the address that the request came from, where a request did it, and By
	// who asked for it, where that is not the actor of the session.
	IP string
	By Principal
	// Err says why something was denied or failed.
	Err error
}

// A Grant is a session and its tokens.
type Grant struct {
	Session       Session
	RefreshToken  string
	AccessToken   string
	AccessExpires time.Time
	// Now is the store's clock when the grant was made.
	Now time.Time
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
	m.report(ctx, &Event{Kind: kind, Session: s, IP: s.IP, Err: err})
}

// grant mints the tokens of the row.
func (m *Manager) grant(s *Session, now time.Time) (*Grant, error) {
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

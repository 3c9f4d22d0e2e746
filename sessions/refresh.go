package sessions

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/event"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

// A RefreshRequest presents a refresh token.
type RefreshRequest struct {
	Token string
	// Client is the OAuth client that presents it, as it was authenticated: it gets its own
	// sessions alone. "" is whoever holds the token, which is not enough for those of
	// confidential clients.
	Client string
	// IP is the address that the request comes from.
	IP string
}

// Refresh exchanges a refresh token for its successor and a new access token.
// The errors wrap ErrGrant where the token is good for nothing, ErrUnavailable
// or keyring.ErrNoKey where that is unknown: then the same token may be sent again.
func (m *Manager) Refresh(ctx context.Context, req *RefreshRequest) (*Grant, error) {
	presented, err := m.Minter.ReadRefresh(req.Token)
	if err != nil {
		return nil, err // of no session: nothing happened to any
	}
	if err := m.bound(presented, req); err != nil {
		return nil, err
	}
	signer, err := m.Minter.Keys.Refresh.Signing(m.Store.Now())
	if err != nil {
		return nil, fmt.Errorf("refreshing session: %w", err)
	}
	fresh := Fresh{KeyID: signer.ID(), From: req.IP}
	_, _ = rand.Read(fresh.Secret[:]) // it never fails: it ends the process instead

	asked := Session{Realm: m.Realm, ID: presented.Session.ID, UserID: presented.UserID, ClientID: presented.ClientID}
	if err := m.observer().Before(ctx, event.Refreshed, &asked); err != nil {
		return nil, err
	}
	row, now, out, err := m.rotate(ctx, presented, &fresh)
	switch {
	case errors.Is(err, ErrNotFound):
		out = Outcome{Kind: event.Denied, Err: errUnknown}
		row = Session{Realm: m.Realm, ID: presented.Session.ID, UserID: presented.UserID}
	case err != nil:
		err = fmt.Errorf("refreshing session: %w", err)
		m.report(ctx, &Event{Kind: event.Failed, Session: &Session{Realm: m.Realm, ID: presented.Session.ID}, IP: req.IP, Err: err})
		return nil, err
	}
	m.revocations().Remember(&row)
	happened := Event{Kind: out.Kind, Session: &row, IP: req.IP, Err: out.Err}
	if out.Err != nil || out.Kind == "" {
		m.report(ctx, &happened)
		return nil, out.Err
	}
	grant, err := m.grant(&row, now)
	if err != nil {
		happened.Kind, happened.Err = event.Failed, err
	}
	m.report(ctx, &happened)
	return grant, err
}

// bound reports why the client that presents a refresh token may not have what it is good
// for: it is another's (RFC 6749 section 6). Nothing happens to the session.
func (m *Manager) bound(p *Presented, req *RefreshRequest) error {
	switch {
	case req.Client != "" && req.Client != p.ClientID:
		return ErrOtherClient
	case req.Client == "" && m.Confidential[p.ClientID]:
		return errConfidential
	default:
		return nil
	}
}

// rotate presents the token to its row: in one step where the store can do that and
// the token is the live one, else by the transition.
func (m *Manager) rotate(ctx context.Context, p *Presented, fresh *Fresh) (row Session, now time.Time, out Outcome, err error) {
	if store, ok := As[Rotator](m.Store); ok {
		row, at, rotated, err := store.Rotate(ctx, p, fresh)
		if err != nil {
			return row, at, out, err
		}
		if rotated {
			row, out, err = m.endorse(ctx, row)
			return row, at, out, err
		}
	}
	row, err = m.Store.Update(ctx, p.Session, func(row Session, at time.Time) (next Session, write bool) {
		now = at
		next, write, out = m.present(row, p, fresh, at)
		return next, write
	})
	return row, now, out, err
}

// endorse asks what present asks before a rotation, of a row that was rotated
// already: a no ends the session just as well.
func (m *Manager) endorse(ctx context.Context, row Session) (Session, Outcome, error) {
	if m.cutOff(&row) {
		return row, Outcome{Kind: event.Denied, Err: errRevoked}, nil
	}
	no := m.permit(&row)
	if no == nil {
		return row, Outcome{Kind: event.Refreshed}, nil
	}
	ended, _, err := m.revoke(ctx, row.Key(), EndPolicy)
	return ended, Outcome{Kind: event.Revoked, Err: fmt.Errorf("%w: %w", errPolicy, no)}, err
}

// present is the transition of a row when a refresh token is presented.
func (m *Manager) present(row Session, p *Presented, fresh *Fresh, now time.Time) (next Session, write bool, out Outcome) {
	if m.cutOff(&row) {
		return row, false, Outcome{Kind: event.Denied, Err: errRevoked}
	}
	rules := Rotation{Grace: m.Grace, Permit: m.permit}
	return rules.Present(row, p, fresh, now)
}

// ReadRefresh verifies a refresh token of ours: form, key, type, issuer and
// audience, without a look at the store. The errors wrap ErrGrant, or
// ErrUnavailable where its key may be one that this node has not seen yet.
func (m *Minter) ReadRefresh(token string) (*Presented, error) {
	parsed, err := jose.Parse(token)
	if err != nil || parsed.Header.Type != keyring.RefreshTokenType {
		return nil, errTokenForm
	}
	key, err := m.Keys.Refresh.Find(parsed.Header.KeyID)
	switch {
	case errors.Is(err, keyring.ErrIncomplete):
		return nil, fmt.Errorf("reading refresh token: %w: %w", ErrUnavailable, err)
	case err != nil:
		return nil, errTokenKey
	}
	var claims refreshClaims
	if parsed.Verify(key.Public(), &claims) != nil {
		return nil, errTokenKey
	}
	return m.read(&claims)
}

// read reads claims that we signed ourselves.
func (m *Minter) read(c *refreshClaims) (*Presented, error) {
	p := &Presented{Session: Key{Realm: m.Issuer, ID: c.Session}, UserID: c.User, ClientID: c.Client, Generation: c.Generation}
	secret, err := base64.RawURLEncoding.DecodeString(c.Secret)
	if err != nil || len(secret) != SecretSize || c.Session == "" || c.Issuer != m.Issuer || c.Audience != m.RefreshAudience {
		return nil, errTokenForm
	}
	p.Secret = [SecretSize]byte(secret)
	return p, nil
}

// permit asks today's policy about a session, with what its row recorded of the
// caller. It is pure.
func (m *Manager) permit(row *Session) error {
	trust := m.trust(row.Actor.Issuer)
	switch {
	case trust == nil:
		return errUntrusted
	case CheckUserID(row.UserID) != nil, CheckUserID(row.Actor.Subject) != nil: // of a release that let more in
		return errOldName
	}
	caller := m.Policy.recorded(row, trust)
	if !trust.Accepts(caller) {
		return errUnaccepted
	}
	// Whether they were a person, and the user themselves, was decided by all of their claims.
	caller.User = !row.Impersonation && trust.IsUserOf(caller)
	decision, err := m.Policy.Decide(m.input(caller, row))
	if err != nil {
		return err
	}
	if decision.Impersonation != row.Impersonation {
		return errNoRule // it may be no more what it was
	}
	return nil
}

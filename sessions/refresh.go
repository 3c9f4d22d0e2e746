package sessions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/event"
)

// A RefreshRequest presents a refresh token.
type RefreshRequest struct {
	Token string
	// Client is the authenticated OAuth client that presents the token; it can use only tokens of
	// its own sessions. "" means any holder of the token, which is not enough for the tokens of
	// confidential clients.
	Client string
	// Cookies means that the token came in its cookie. Tokens that live in cookies are accepted
	// only from there, even from someone who copied them, and other tokens never are.
	Cookies bool
	// IP is the address of the request.
	IP string
}

// A presentation is one request that presents a refresh token while a Manager handles it.
type presentation struct {
	*Manager
	req   *RefreshRequest
	token *Presented
	fresh Fresh // what a rotation would store
}

// refresh implements Manager.Refresh.
func (p *presentation) refresh(ctx context.Context) (*Grant, error) {
	if err := p.checkClient(); err != nil {
		return nil, err
	}
	signer, err := p.Minter.Keys.Refresh.Signing(p.Store.Now())
	if err != nil {
		return nil, fmt.Errorf("refreshing session: %w", err)
	}
	p.fresh = Fresh{KeyID: signer.ID(), From: p.req.IP}
	_, _ = rand.Read(p.fresh.Secret[:]) // never fails: it crashes the process instead

	asked := Session{Realm: p.Realm, ID: p.token.Session.ID, UserID: p.token.UserID, ClientID: p.token.ClientID}
	if err := p.observer().Before(ctx, event.Refreshed, &asked); err != nil {
		return nil, err
	}
	grant := new(Grant)
	var now time.Time
	var out Outcome
	row := &grant.Session
	*row, now, out, err = p.rotate(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		out = Outcome{Kind: event.Denied, Err: errUnknown}
		*row = Session{Realm: p.Realm, ID: p.token.Session.ID, UserID: p.token.UserID}
	case err != nil:
		err = fmt.Errorf("refreshing session: %w", err)
		p.report(ctx, &Event{Kind: event.Failed, Session: &Session{Realm: p.Realm, ID: p.token.Session.ID}, IP: p.req.IP, Err: err})
		return nil, err
	}
	p.Revocations.Remember(row)
	happened := Event{Kind: out.Kind, Session: row, IP: p.req.IP, Err: out.Err}
	if out.Err != nil || out.Kind == "" {
		p.report(ctx, &happened)
		return nil, out.Err
	}
	if err := p.mint(grant, now); err != nil {
		happened.Kind, happened.Err = event.Failed, err
		grant = nil
	}
	p.report(ctx, &happened)
	return grant, happened.Err
}

// checkClient returns why the client may not use the refresh token: it belongs to another client
// (RFC 6749 section 6), or did not come from where it lives. The session is not affected.
func (p *presentation) checkClient() error {
	switch {
	case p.req.Cookies != p.token.Cookies:
		return errWrongPlace
	case p.req.Client != "" && p.req.Client != p.token.ClientID:
		return ErrOtherClient
	case p.req.Client != "" || !p.token.ClientAuth && !p.Minter.Confidential[p.token.ClientID]:
		return nil
	case !p.Clients[p.token.ClientID]:
		return errClientGone
	default:
		return ErrClientAuth
	}
}

// rotate presents the token to its row: in one step if the store supports that and the token is the
// live one, and else with Update.
func (p *presentation) rotate(ctx context.Context) (row Session, now time.Time, out Outcome, err error) {
	if store, ok := As[Rotator](p.Store); ok {
		row, at, rotated, err := store.Rotate(ctx, p.token, &p.fresh)
		if err != nil {
			return row, at, out, err
		}
		if rotated {
			row, out, err = p.permitRotated(ctx, row)
			return row, at, out, err
		}
	}
	row, err = p.Store.Update(ctx, p.token.Session, func(row Session, at time.Time) (next Session, write bool) {
		now = at
		next, write, out = p.present(row, at)
		return next, write
	})
	return row, now, out, err
}

// permitRotated applies the policy to a row that has been rotated already, as present does before a
// rotation. If the policy refuses, the session is revoked.
func (p *presentation) permitRotated(ctx context.Context, row Session) (Session, Outcome, error) {
	if p.revokedByCutoff(&row) {
		return row, Outcome{Kind: event.Denied, Err: errRevoked}, nil
	}
	no := p.permit(&row)
	if no == nil {
		return row, Outcome{Kind: event.Refreshed}, nil
	}
	ended, _, err := p.revoke(ctx, row.Key(), EndPolicy)
	return ended, Outcome{Kind: event.Revoked, Err: fmt.Errorf("%w: %w", errPolicy, no)}, err
}

// present is the transition of a row when a refresh token is presented.
func (p *presentation) present(row Session, now time.Time) (next Session, write bool, out Outcome) {
	if p.revokedByCutoff(&row) {
		return row, false, Outcome{Kind: event.Denied, Err: errRevoked}
	}
	rules := Rotation{Grace: p.Grace, Permit: p.permit}
	return rules.Present(row, p.token, &p.fresh, now)
}

// A Grant is a session and its tokens. For a pending session, it has the code of the link and no
// tokens.
type Grant struct {
	Session       Session
	Link          string
	ReturnTo      string // for a session that was opened
	RefreshToken  string
	AccessToken   string
	AccessExpires time.Time
	// Now is the store's time when the grant was made.
	Now time.Time
}

// Outdated reports whether a response whose header is written at now must leave out the tokens of
// the grant, which live in cookies. row is the current row.
//
// A late response would replace a later generation in the browser by an earlier one, which would
// then count as reuse. So the tokens are outdated if the session was rotated again or revoked, if
// the generation arrived with another response, or if an eighth of the access token's life has
// passed. (A tab may have received the generation with another response long ago and be about to
// present it, so no response on its way may set it again.) Leaving the tokens out is safe: until
// the successor has arrived, the browser's refresh token gets the same successor again.
func (g *Grant) Outdated(row *Session, now time.Time) bool {
	s := &g.Session
	return row.Generation != s.Generation || !row.RevokedAt.IsZero() ||
		s.Generation > 0 && row.Confirmed == s.Generation ||
		now.Sub(s.RotatedAt) > g.AccessExpires.Sub(s.RotatedAt)/8
}

// permit applies the current policy to a session, with what its row recorded of the caller. It is
// pure.
func (p *presentation) permit(row *Session) error {
	trust := p.trust(row.Actor.Issuer)
	switch {
	case trust == nil:
		return errUntrusted
	case CheckUserID(row.UserID) != nil, CheckUserID(row.Actor.Subject) != nil: // from a release that accepted more
		return errOldUserID
	}
	caller := p.Policy.recorded(row, trust)
	if !trust.Accepts(caller) {
		return errUnaccepted
	}
	// Whether they were a person, and the user, was decided by all of their claims.
	caller.User = !row.Impersonation && trust.IsUserOf(caller)
	decision, err := p.Policy.Decide(p.input(caller, row))
	if err != nil {
		return err
	}
	if decision.Impersonation != row.Impersonation {
		return errNoRule // its kind would change
	}
	return nil
}

// current implements Manager.Current.
func (p *presentation) current(ctx context.Context) (Session, error) {
	row, out, write, err := p.dryRun(ctx)
	if err != nil {
		return Session{}, err
	}
	if !write {
		return row, out.Err
	}
	row, err = p.Store.Update(ctx, p.token.Session, func(row Session, at time.Time) (next Session, write bool) {
		next, write, out = p.inspect(row, at)
		return next, write
	})
	if err != nil {
		return Session{}, rowError(err)
	}
	if out.Err == nil { // by the store's time it is still within the grace period
		return row, nil
	}
	p.Revocations.Remember(&row)
	p.report(ctx, &Event{Kind: out.Kind, Session: &row, IP: p.req.IP, Err: out.Err})
	return row, out.Err
}

// dryRun reads the row, and returns what presenting the token would do.
func (p *presentation) dryRun(ctx context.Context) (row Session, out Outcome, write bool, err error) {
	if err = p.checkClient(); errors.Is(err, ErrOtherClient) {
		return row, out, false, err
	}
	if row, err = p.Store.Get(ctx, p.token.Session); err != nil {
		return row, out, false, rowError(err)
	}
	_, write, out = p.inspect(row, p.Store.Now())
	return row, out, write, nil
}

// rowError returns the error for a row that a refresh token names and that cannot be read.
func rowError(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errUnknown
	}
	return fmt.Errorf("reading session: %w", err)
}

// inspect is the transition of a row when a refresh token is presented for something other than a
// refresh.
func (p *presentation) inspect(row Session, now time.Time) (next Session, write bool, out Outcome) {
	if p.revokedByCutoff(&row) {
		return row, false, Outcome{Kind: event.Denied, Err: errRevoked}
	}
	rules := Rotation{Grace: p.Grace}
	return rules.Inspect(row, p.token, now)
}

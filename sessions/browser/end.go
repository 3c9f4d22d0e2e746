package browser

import (
	"context"
	"errors"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// end revokes the session of a pair, or with everywhere all sessions of its user, and returns the
// session; nil if there is none. The error says why it could not be revoked.
func (a *Authenticator) end(ctx context.Context, b *Credential, everywhere bool, ip string) (*sessions.Session, error) {
	session, err := a.session(ctx, b, ip)
	if errors.Is(err, errNoSession) {
		return nil, nil
	}
	if err == nil {
		err = a.Manager.SignOut(ctx, session, ip)
	}
	if errors.Is(err, sessions.ErrNotFound) { // it has ended meanwhile
		err = nil
	}
	if err == nil && everywhere {
		err = a.endAll(ctx, session, ip)
	}
	return session, err
}

// endAll revokes all sessions of the user of a session, and those in which they are the actor.
func (a *Authenticator) endAll(ctx context.Context, s *sessions.Session, ip string) error {
	user := &sessions.Caller{Principal: sessions.Principal{Issuer: s.Realm, Subject: s.UserID}, Own: true}
	err := a.endSelected(ctx, user, sessions.Filter{User: s.UserID}, ip)
	if err == nil {
		err = a.endSelected(ctx, &sessions.Caller{Principal: s.Actor}, sessions.Filter{Actor: &s.Actor}, ip)
	}
	return err
}

// endSelected revokes the sessions that the filter selects, on behalf of the caller to whom they
// belong.
func (a *Authenticator) endSelected(ctx context.Context, by *sessions.Caller, f sessions.Filter, ip string) error {
	rights, err := a.Manager.RightsOf(by, ip)
	for cursor := ""; err == nil; {
		var done sessions.Revocation
		done, err = a.Manager.RevokeAll(ctx, rights, f, cursor, false)
		if cursor = done.Next; cursor == "" {
			break
		}
	}
	return err
}

// errNoSession means that the cookies belong to no live session.
var errNoSession = errors.New("no session")

// session returns the session of a pair, or errNoSession. Any other error means that it is unknown.
func (a *Authenticator) session(ctx context.Context, b *Credential, ip string) (*sessions.Session, error) {
	return a.lookUp(ctx, b, ip, a.Manager.Current)
}

// lookUp is session with refreshed to look up the session of a refresh token.
func (a *Authenticator) lookUp(ctx context.Context, b *Credential, ip string, refreshed func(context.Context, *sessions.RefreshRequest) (sessions.Session, error)) (*sessions.Session, error) {
	if b.Tokens.Access != "" {
		holder, err := a.verify(ctx, b.Pair, b.Tokens.Access)
		if err == nil {
			session, err := a.Manager.CurrentOf(ctx, holder.Caller())
			return &session, noSessionIf(err, sessions.ErrNotFound)
		}
		if b.Tokens.Refresh == "" && bearer.IsUnavailable(err) {
			return nil, err
		}
	}
	if b.Tokens.Refresh == "" {
		return nil, errNoSession
	}
	session, err := refreshed(ctx, &sessions.RefreshRequest{Token: b.Tokens.Refresh, IP: ip})
	return &session, noSessionIf(err, sessions.ErrGrant)
}

// noSessionIf replaces an error that means it by errNoSession.
func noSessionIf(err, means error) error {
	if errors.Is(err, means) {
		return errNoSession
	}
	return err
}

package browser

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
)

// SetSession sets the cookies of a session, and revokes the session of the same kind that was in the
// browser, so that copies of its cookies become useless. If the new session is a person's own, an
// impersonation that somebody else may have started is revoked too; parted reports whether that
// happened. The person is signed in even if a session cannot be revoked: Incomplete is called.
func (a *Authenticator) SetSession(h http.Header, r *http.Request, grant *sessions.Grant) (parted bool) {
	pair := PairOf(&grant.Session)
	own, as, err := a.Jar.Read(r)
	switch {
	case err != nil: // it is unknown whose they are
	case pair == As:
		a.revoke(r, a.find(r, As, as), grant)
	default:
		before := a.find(r, Own, own)
		a.revoke(r, before, grant)
		if acting := a.find(r, As, as); as.Present() && !continues(acting, before, &grant.Session) {
			a.revoke(r, acting, grant)
			a.Jar.Clear(h, As)
			parted = true
		}
	}
	a.Jar.Set(h, pair, grant)
	return parted
}

// continues reports whether an impersonation continues when somebody signs in: if they started it,
// or were signed in here before. A nil session is over or unknown.
func continues(acting, before, own *sessions.Session) bool {
	return acting != nil && (acting.Actor == own.Actor || before != nil && before.UserID == own.UserID)
}

// find returns the session of a pair of cookies in a request; nil if it is over or unknown, or if
// there is none. Incomplete is called if it is unknown, since it is not revoked.
func (a *Authenticator) find(r *http.Request, p Pair, tokens Tokens) *sessions.Session {
	session, err := a.session(r.Context(), &Credential{Pair: p, Tokens: tokens}, a.ClientIP(r))
	if err == nil {
		return session
	}
	if !errors.Is(err, errNoSession) {
		a.Incomplete("find the session that another one replaces in a browser", err)
	}
	return nil
}

// revoke revokes a session, if there is one and it is not the one that replaces it.
func (a *Authenticator) revoke(r *http.Request, s *sessions.Session, by *sessions.Grant) {
	if s == nil || s.ID == by.Session.ID {
		return
	}
	if err := a.Manager.SignOut(r.Context(), s, a.ClientIP(r)); err != nil && !errors.Is(err, sessions.ErrNotFound) {
		a.Incomplete("revoke the session that another one replaces in a browser", err)
	}
}

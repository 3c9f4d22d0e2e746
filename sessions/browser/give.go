package browser

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
)

// Give has an answer put a session into the browser. The one of its kind that was there is revoked:
// a copy of its cookies must not be of use any more. So is an impersonation, where the session is
// one's own and somebody else may have begun that: parted reports whether one was taken away. People are
// signed in even where something cannot be revoked: Undone hears of it.
func (a *Authenticator) Give(h http.Header, r *http.Request, grant *sessions.Grant) (parted bool) {
	pair := PairOf(&grant.Session)
	own, as, err := a.Jar.Read(r)
	switch {
	case err != nil: // whose they are is unknown
	case pair == As:
		a.revoke(r, a.find(r, As, as), grant)
	default:
		before := a.find(r, Own, own)
		a.revoke(r, before, grant)
		if acting := a.find(r, As, as); as.There() && !goesOn(acting, before, &grant.Session) {
			a.revoke(r, acting, grant)
			a.Jar.Clear(h, As)
			parted = true
		}
	}
	a.Jar.Set(h, pair, grant)
	return parted
}

// goesOn reports whether an impersonation goes on where somebody gets a session of their own: it is
// theirs, or they were the ones who were here before. nil is what is over, or unknown.
func goesOn(acting, before, own *sessions.Session) bool {
	return acting != nil && (acting.Actor == own.Actor || before != nil && before.UserID == own.UserID)
}

// find returns the session of a pair of cookies that a request brought; nil: it is over, unknown, or
// there is none. Undone hears of one that is unknown, since it stays.
func (a *Authenticator) find(r *http.Request, p Pair, tokens Tokens) *sessions.Session {
	session, err := a.session(r.Context(), &Brought{Pair: p, Tokens: tokens}, a.ClientIP(r))
	if err == nil {
		return session
	}
	if !errors.Is(err, errNoSession) {
		a.Undone("find the session that another one replaces in a browser", err)
	}
	return nil
}

// revoke revokes a session, if there is one, and it is not the one that takes its place.
func (a *Authenticator) revoke(r *http.Request, s *sessions.Session, by *sessions.Grant) {
	if s == nil || s.ID == by.Session.ID {
		return
	}
	if err := a.Manager.SignOut(r.Context(), s, a.ClientIP(r)); err != nil && !errors.Is(err, sessions.ErrNotFound) {
		a.Undone("revoke the session that another one replaces in a browser", err)
	}
}

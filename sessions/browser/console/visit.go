package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/browser"
)

// A visit is one request of a person who is signed in.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	session *sessions.Session // of the request
	now     time.Time
	own     *sessions.Rights // over the person's own sessions
	caller  *sessions.Caller // with the claims recorded at sign-in; nil if they are too old
	rights  *sessions.Rights // of the caller
	starts  bool             // a rule may let them act as somebody
}

// withVisit calls do for the person who is signed in, if they have the right for the page.
func (c *Console) withVisit(w http.ResponseWriter, r *http.Request, p *page, do func(*visit) error) error {
	session, err := c.Browsers.SignedIn(w, r)
	if err != nil {
		return err
	}
	if session == nil || session.ClientID != c.Origin {
		c.signIn(w, r, p)
		return nil
	}
	v := &visit{w: w, r: r, session: session, now: c.manager.Store.Now()}
	user := &sessions.Caller{Principal: sessions.Principal{Issuer: session.Realm, Subject: session.UserID}, Own: true}
	if v.own, err = c.manager.RightsOf(user, c.Browsers.ClientIP(r)); err != nil {
		return err
	}
	v.caller, err = c.manager.ConsoleCaller(session)
	switch {
	case errors.Is(err, sessions.ErrSignInAgain) && p.rights != anyUser:
		return errAgain
	case err == nil:
		if v.rights, err = c.manager.RightsOf(v.caller, c.Browsers.ClientIP(r)); err != nil {
			return err
		}
		v.starts = c.manager.MayAct(v.caller)
	}
	if !v.has(p.rights) {
		return errRights
	}
	return do(v)
}

// has reports whether the person has a right.
func (v *visit) has(what right) bool {
	switch what {
	case anyUser:
		return true
	case startRight:
		return v.starts
	case actorRight:
		return v.starts || v.has(manageRight)
	case manageRight:
		return v.rights != nil && v.rights.Manages()
	default:
		return false
	}
}

// stale reports whether the person signed in too long ago for more than their own sessions.
func (v *visit) stale() bool { return v.caller == nil }

// signIn redirects a person to the sign-in, and then back.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request, p *page) {
	to := "/"
	if p.get != nil && r.Method != http.MethodPost {
		to = r.URL.RequestURI()
	}
	seeOther(w, c.signInPath(to))
}

func (c *Console) signInPath(returnTo string) string {
	return c.Path + browser.SignInPath + "?" + url.Values{"return_to": {returnTo}}.Encode()
}

// seeOther redirects a person.
func seeOther(w http.ResponseWriter, to string) {
	setHeaders(w.Header())
	browser.SeeOther(w, to)
}

package browser

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"authsidecar/sessions"
)

// endTimeout bounds how long a sign-out takes.
const endTimeout = 10 * time.Second

// Detached returns the context for revoking sessions at a person's request. It outlives the request: a
// tab that is closed keeps no session alive.
func Detached(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), endTimeout)
}

// LivesOn returns the error of a sign-out that took the cookies away, and could not revoke the
// session for that cause.
func LivesOn(cause error) error { return &failure{errLivesOn, "signing out", cause} }

// Leave has an answer take all from the browser that is of a session which ends.
func (a *API) Leave(h http.Header, p Pair) {
	a.Clear(h, p)
	a.cross(h, p)
}

// SignOut revokes the session of the person who asks, and has the app's answer to their request say so:
// whatever comes of it the cookies go, and where it leads a person on to a page of this site, it
// leads to where they sign out at the provider first. An error is LivesOn.
func (a *API) SignOut(r *http.Request, d *Decision, status int, h http.Header) error {
	a.Leave(h, d.Pair)
	ctx, cancel := Detached(r)
	defer cancel()
	session, err := a.Manager.CurrentOf(ctx, d.Holder.Caller())
	if err == nil {
		err = a.Manager.SignOut(ctx, &session, a.ClientIP(r))
	}
	switch {
	case errors.Is(err, sessions.ErrNotFound): // it ended meanwhile
		return nil
	case err != nil:
		return LivesOn(err)
	}
	if path, ok := leadsOn(r, status, h); ok {
		if to := cmp.Or(a.signOutURL(r, &session), a.throughSignedOut(r, a.Path+"/", path)); to != "" {
			h.Set("Location", to)
			h.Set("Referrer-Policy", "same-origin")
		}
	}
	return nil
}

// leadsOn returns the path to which an answer leads a browser on, if that is one of this site. Those
// that would send the request again (307 and 308: RFC 9110 section 15.4) do not.
func leadsOn(r *http.Request, status int, h http.Header) (path string, ok bool) {
	if status != http.StatusMovedPermanently && status != http.StatusFound && status != http.StatusSeeOther {
		return "", false
	}
	location := h.Get("Location")
	to, err := url.Parse(location)
	if err != nil || location == "" || (to.Host != "" || to.Scheme != "") && !strings.EqualFold(to.Host, r.Host) {
		return "", false
	}
	to = r.URL.ResolveReference(to)
	to.Scheme, to.Host, to.User = "", "", nil
	return to.String(), true
}

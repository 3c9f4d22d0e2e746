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

// endTimeout limits how long a sign-out takes.
const endTimeout = 10 * time.Second

// Detached returns the context for revoking sessions at a person's request. It outlives the
// request, so that closing the tab does not keep a session alive.
func Detached(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), endTimeout)
}

// NotRevokedError returns the error of a sign-out that removed the cookies but could not revoke the
// session, for that cause.
func NotRevokedError(cause error) error { return &failure{errNotRevoked, "signing out", cause} }

// ClearSite removes everything of a session that ends from the browser.
func (a *API) ClearSite(h http.Header, p Pair) {
	a.Clear(h, p)
	a.clearSiteData(h, p)
}

// SignOut revokes the session of the person who sends the request, and adjusts the app's response:
// the cookies are removed even if something fails, and a redirect to a page of this site goes
// through the provider's sign-out first. An error is NotRevokedError.
func (a *API) SignOut(r *http.Request, d *Decision, status int, h http.Header) error {
	a.ClearSite(h, d.Pair)
	ctx, cancel := Detached(r)
	defer cancel()
	session, err := a.Manager.CurrentOf(ctx, d.Holder.Caller())
	if err == nil {
		err = a.Manager.SignOut(ctx, &session, a.ClientIP(r))
	}
	switch {
	case errors.Is(err, sessions.ErrNotFound): // it has ended meanwhile
		return nil
	case err != nil:
		return NotRevokedError(err)
	}
	if path, ok := redirectPath(r, status, h); ok {
		if to := cmp.Or(a.signOutURL(r, &session), a.signedOutURL(r, a.Path+"/", path)); to != "" {
			h.Set("Location", to)
			h.Set("Referrer-Policy", "same-origin")
		}
	}
	return nil
}

// redirectPath returns the path of this site that a response redirects to, if it does. Redirects
// that repeat the request (307 and 308: RFC 9110 section 15.4) do not count.
func redirectPath(r *http.Request, status int, h http.Header) (path string, ok bool) {
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

package browser

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions/internal/endpoint"
)

// rotationMargin is how long after a rotation no other request can have rotated the session again:
// the browser does not have the necessary tokens yet.
const rotationMargin = time.Second

// Settle sets the headers that follow from the decision when the header of the response is about to
// be written: if the session was rotated, its new cookies, and that no cache may store the
// response; otherwise, unless the app sets caching headers, that the response is private.
func (a *Authenticator) Settle(ctx context.Context, h http.Header, d *Decision) {
	if d.grant != nil && a.isLatestRotation(ctx, d) {
		a.Jar.Set(h, d.Pair, d.grant)
		endpoint.NoStore(h)
		return
	}
	setPrivate(h)
}

// Clear removes the cookies of a pair from the browser.
func (a *Authenticator) Clear(h http.Header, p Pair) {
	a.Jar.Clear(h, p)
	endpoint.NoStore(h)
}

// isLatestRotation reports whether the tokens of the rotation are the latest of the session. A late
// response must not replace newer tokens with older ones, which would then count as reuse. If it is
// unknown, the tokens are left out; that is safe, since the browser presents its old ones again.
// See sessions.Grant.Outdated.
func (a *Authenticator) isLatestRotation(ctx context.Context, d *Decision) bool {
	now := a.Manager.Store.Now()
	if d.grant.Outdated(&d.grant.Session, now) {
		return false
	}
	if age := now.Sub(d.grant.Now); age >= 0 && age < rotationMargin {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rotationMargin)
	defer cancel()
	row, err := a.Manager.Store.Get(ctx, d.grant.Session.Key())
	return err == nil && !d.grant.Outdated(&row, a.Manager.Store.Now())
}

// setPrivate marks a response as private, unless it has caching headers.
func setPrivate(h http.Header) {
	if _, says := h["Cache-Control"]; says {
		return
	}
	for name := range h {
		if endpoint.IsCachingHeader(name) {
			return
		}
	}
	h["Cache-Control"] = []string{"private"}
	if !variesByCookie(h["Vary"]) {
		h["Vary"] = append(h["Vary"], "Cookie")
	}
}

// variesByCookie reports whether a response already says that it depends on cookies.
func variesByCookie(vary []string) bool {
	return slices.ContainsFunc(vary, func(line string) bool {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name == "*" || strings.EqualFold(name, "Cookie") {
				return true
			}
		}
		return false
	})
}

package browser

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions/internal/endpoint"
)

// moment is for how long after a rotation nobody else can have rotated the session again: the
// browser does not have the tokens that it would need for it.
const moment = time.Second

// Settle has an answer say what follows from the decision, when its header is about to be written:
// where the session was rotated, its new cookies, for no cache to keep; and else, where the app
// says nothing about caching, that the answer is for one person.
func (a *Authenticator) Settle(ctx context.Context, h http.Header, d *Decision) {
	if d.grant != nil && a.isLatest(ctx, d) {
		a.Jar.Set(h, d.Pair, d.grant)
		endpoint.NoStore(h)
		return
	}
	private(h)
}

// Clear has an answer take the cookies of a pair from the browser.
func (a *Authenticator) Clear(h http.Header, p Pair) {
	a.Jar.Clear(h, p)
	endpoint.NoStore(h)
}

// isLatest reports whether the tokens of the rotation are the latest of the session. An answer
// that took its time must not put older ones in the place of newer ones: a browser that presents them
// looks like a thief. Where that is unknown they are left out, which does no harm: the browser
// comes back with those that it has. See sessions.Grant.Outdated.
func (a *Authenticator) isLatest(ctx context.Context, d *Decision) bool {
	now := a.Manager.Store.Now()
	if d.grant.Outdated(&d.grant.Session, now) {
		return false
	}
	if age := now.Sub(d.grant.Now); age >= 0 && age < moment {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), moment)
	defer cancel()
	row, err := a.Manager.Store.Get(ctx, d.grant.Session.Key())
	return err == nil && !d.grant.Outdated(&row, a.Manager.Store.Now())
}

// private has an answer say whom it is for, where it says nothing about caching.
func private(h http.Header) {
	if _, says := h["Cache-Control"]; says {
		return
	}
	for name := range h {
		if endpoint.IsForCaches(name) {
			return
		}
	}
	h["Cache-Control"] = []string{"private"}
	if !varies(h["Vary"]) {
		h["Vary"] = append(h["Vary"], "Cookie")
	}
}

// varies reports whether an answer says already that it depends on the cookies.
func varies(vary []string) bool {
	return slices.ContainsFunc(vary, func(line string) bool {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name == "*" || strings.EqualFold(name, "Cookie") {
				return true
			}
		}
		return false
	})
}

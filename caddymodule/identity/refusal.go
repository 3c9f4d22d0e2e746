package identity

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// What clients read whose requests do not get to the app. The code is also the reason
// in the access log, the metrics and the audit, where the cause is not more exact.
var (
	errNoToken = httpapi.NewProblem(401, "missing_token", "Authentication required",
		"Sign in, or send an access token as bearer token in the Authorization header.")
	errToken  = httpapi.NewProblem(401, "invalid_token", "Invalid token", "The bearer token is not valid here, or no longer.")
	errTokens = httpapi.NewProblem(401, "invalid_token", "Invalid token", "Send one bearer token, in one Authorization header.")
	errOver   = httpapi.NewProblem(401, "session_over", "Signed out", "This session is over. Sign in again.")
	// errActingOver is for a person who acted as somebody else, and is to know in whose name the
	// next thing happens that they do.
	errActingOver = httpapi.NewProblem(401, "impersonation_over", "No longer acting as another user",
		"You acted as another user, and that is over. Nothing was done. Load the page again to go on as yourself.")
	errExpired = httpapi.NewProblem(401, "token_expired", "Expired", "The access token in the cookie has expired. Refresh the session, or sign in again.")
	errSeveral = httpapi.NewProblem(401, "invalid_token", "Several sessions at once",
		"Several sessions came in cookies of one name. Delete the cookies of this site and sign in again.")
	errCrossOrigin = httpapi.ErrCrossOrigin
	errReadOnly    = httpapi.NewProblem(403, "read_only", "Read only",
		"While you act as another user you may look at things, but not change them.")
	errDeny = httpapi.NewProblem(403, "deny", "Not while acting as another user",
		"This is closed while you act as another user.")
	errVariant = httpapi.NewProblem(403, "path_variant", "Not while acting as another user",
		"The app could take this address for another one. While you act as another user, use its plain spelling.")
	// errAhead has browsers load the page when it is asked for, and not before.
	errAhead = httpapi.NewProblem(403, "not_ahead", "Not ahead of time",
		"This page signs you out, so it is not loaded before you ask for it.")
	errTwoIdentities = httpapi.NewProblem(400, "two_identities", "Two people at once",
		"This request came with the sessions of two people. Sign out of one of them, or send one token.")
	errUnavailable = httpapi.NewProblem(503, "unavailable", "Unavailable", "Try again soon.")
)

// RefusalCodes are those of the refusals that are counted from 0 on, so that an alert on one of
// them sees the first.
var RefusalCodes = []string{errReadOnly.Code, errDeny.Code, errVariant.Code, errCrossOrigin.Code}

// A refusal is the error for a request of the app that does not get there. Its text, which
// is {err.message} on error routes, is fixed: why a token is not good is in the log alone.
type refusal struct {
	*httpapi.Problem
	by      *Middleware
	who     *identity // whose request it is, where that is known
	cause   error     // for the log; nil: the problem says it all
	toLogin bool      // the client is a person who is sent to where they can sign in
}

// Error returns what the client reads.
func (f *refusal) Error() string { return f.Detail }

// Reason names the cause, in one of a few words.
func (f *refusal) Reason() string {
	if f.cause == nil {
		return f.Code
	}
	return observe.Reason(f.Status, f.cause)
}

// session returns whose request it is; nil where that is not known.
func (f *refusal) session() *forward.Who {
	if f.who == nil {
		return nil
	}
	return f.who.Who
}

// unavailable is the refusal where nobody can tell who is asking, or whether they still may.
func (m *Middleware) unavailable(cause error) error {
	return &refusal{Problem: errUnavailable, by: m, cause: cause}
}

// fail is where errors leave: refusals, and what later handlers return. Whoever is refused
// is nobody from here on, since error routes may lead to the app. So is whoever gets an
// error that is not the site's own fault, and each impersonated session.
func (m *Middleware) fail(w http.ResponseWriter, r *http.Request, who *identity, err error) error {
	refused, ok := errors.AsType[*refusal](err)
	if !ok && !who.impersonated() && (m.Shadow || statusOf(err) >= http.StatusInternalServerError) {
		return err
	}
	if ok && refused.who != nil {
		who = refused.who
	}
	m.disown(r, who, ok)
	if !ok || refused.by != m { // the block that refused has reported it
		return err
	}
	m.report(r, refused)
	return m.answer(w, r, refused)
}

// report counts and records a refusal.
func (m *Middleware) report(r *http.Request, f *refusal) {
	m.Reports.Failed(r.Context(), f.Status, cmp.Or[error](f.cause, f))
	if observe.Refused(r, f.Status, f.Reason(), f.session()); f.who != nil {
		f.who.by.actOf(r, f.who.Who).refused(f) // in the audit of the session's realm
	}
}

// answer answers a refused request, or leaves it to the error routes of the site: without
// any that take it, Caddy would send a status and nothing else.
func (m *Middleware) answer(w http.ResponseWriter, r *http.Request, f *refusal) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	switch {
	case f.toLogin:
	case f.Status == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge(f.Problem))
	case f.Status == http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	if err := caddyhttp.Error(f.Status, f); !f.toLogin && m.caught(r, err) {
		return err
	}
	defer httpapi.LeaveBody(w, r)()
	if f.toLogin {
		m.sendToLogin(w, r)
		return nil
	}
	header.Add("Vary", "Accept, Sec-Fetch-Mode")
	if p := f.Of(observe.RequestID(r)); forward.Person(r) {
		p.WritePage(w, f.next()...)
	} else {
		p.Write(w)
	}
	return nil
}

// next returns where people go on whom a refusal leaves on a page of ours, without the bar.
func (f *refusal) next() []httpapi.Link {
	switch f.Problem {
	case errDeny, errVariant, errReadOnly:
		return []httpapi.Link{{Text: "Go to the start page", URL: "/"}}
	case errActingOver:
		return []httpapi.Link{{Text: "Go on as yourself", URL: "/"}}
	default:
		return nil
	}
}

// challenge is the WWW-Authenticate of a 401 (RFC 6750 section 3): without an error code
// where no credential was sent.
func challenge(p *httpapi.Problem) string {
	if p == errNoToken {
		return "Bearer"
	}
	return `Bearer error="invalid_token", error_description="` + p.Detail + `"`
}

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

// Responses to requests that are not forwarded. The code is also the reason in the access log, the
// metrics and the audit, unless the cause has a more precise one.
var (
	errNoToken = httpapi.NewProblem(401, "missing_token", "Authentication required",
		"Sign in, or send an access token as bearer token in the Authorization header.")
	errToken  = httpapi.NewProblem(401, "invalid_token", "Invalid token", "The bearer token is not valid here, or no longer.")
	errTokens = httpapi.NewProblem(401, "invalid_token", "Invalid token", "Send one bearer token, in one Authorization header.")
	errOver   = httpapi.NewProblem(401, "session_over", "Signed out", "This session is over. Sign in again.")
	// errActingOver is for a person whose impersonation has ended, and who must know in whose name
	// they act next.
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
	// errPrefetch makes browsers load the page when it is requested, rather than prefetch it.
	errPrefetch = httpapi.NewProblem(403, "not_ahead", "Not ahead of time",
		"This page signs you out, so it is not loaded before you ask for it.")
	errTwoIdentities = httpapi.NewProblem(400, "two_identities", "Two people at once",
		"This request came with the sessions of two people. Sign out of one of them, or send one token.")
	errUnavailable = httpapi.NewProblem(503, "unavailable", "Unavailable", "Try again soon.")
)

// RefusalCodes are the codes whose counters are exported from the start, as 0, so that an alert
// notices the first refusal.
var RefusalCodes = []string{errReadOnly.Code, errDeny.Code, errVariant.Code, errCrossOrigin.Code}

// A refusal is the error for a request that is not forwarded. Its text, which is {err.message} on
// error routes, is fixed: why a token is not valid is only in the log.
type refusal struct {
	*httpapi.Problem
	by      *Middleware
	who     *identity // if known
	cause   error     // for the log; nil if the problem says everything
	toLogin bool      // redirect the person to where they can sign in
}

// Error returns the text for the client.
func (f *refusal) Error() string { return f.Detail }

// Reason returns the cause as one of a few words.
func (f *refusal) Reason() string {
	if f.cause == nil {
		return f.Code
	}
	return observe.Reason(f.Status, f.cause)
}

// session returns the identity of the request; nil if it is unknown.
func (f *refusal) session() *forward.Who {
	if f.who == nil {
		return nil
	}
	return f.who.Who
}

// unavailable is the refusal for a request that cannot be authenticated for now.
func (m *Middleware) unavailable(cause error) error {
	return &refusal{Problem: errUnavailable, by: m, cause: cause}
}

// fail handles all errors: refusals, and those of later handlers. A refused request becomes
// anonymous, since error routes may lead to the app. So does a request with an error that is not
// the site's fault, and every request of an impersonated session.
func (m *Middleware) fail(w http.ResponseWriter, r *http.Request, who *identity, err error) error {
	refused, ok := errors.AsType[*refusal](err)
	if !ok && !who.isImpersonated() && (m.Shadow || statusOf(err) >= http.StatusInternalServerError) {
		return err
	}
	if ok && refused.who != nil {
		who = refused.who
	}
	m.disown(r, who, ok)
	if !ok || refused.by != m { // the block that refused it has reported it
		return err
	}
	m.report(r, refused)
	return m.answer(w, r, refused)
}

// report counts and records a refusal.
func (m *Middleware) report(r *http.Request, f *refusal) {
	m.Reports.Failed(r.Context(), f.Status, cmp.Or[error](f.cause, f))
	if observe.Refused(r, f.Status, f.Reason(), f.session()); f.who != nil {
		f.who.by.newAuditedRequest(r, f.who.Who).recordRefusal(f) // in the audit of the session's realm
	}
}

// answer writes the response to a refused request, or leaves it to the site's error routes. If none
// handles it, Caddy would send only a status.
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
	if err := caddyhttp.Error(f.Status, f); !f.toLogin && m.errors.Handle(r, err) {
		return err // the site's error pages take precedence over ours
	}
	defer httpapi.LeaveBody(w, r)()
	if f.toLogin {
		m.sendToLogin(w, r)
		return nil
	}
	header.Add("Vary", "Accept, Sec-Fetch-Mode")
	f.WithInstance(observe.RequestID(r)).Answer(w, r, f.next()...)
	return nil
}

// next returns links for a person who sees a refusal as a page of ours, without the bar.
func (f *refusal) next() []httpapi.Link {
	switch f.Problem {
	case errDeny, errVariant, errReadOnly:
		return []httpapi.Link{{Text: "Go to the start page", URL: "/"}}
	case errActingOver:
		return []httpapi.Link{{Text: "Continue as yourself", URL: "/"}}
	default:
		return nil
	}
}

// challenge returns the WWW-Authenticate header of a 401 (RFC 6750 section 3), without an error
// code if no credential was sent.
func challenge(p *httpapi.Problem) string {
	if p == errNoToken {
		return "Bearer"
	}
	return `Bearer error="invalid_token", error_description="` + p.Detail + `"`
}

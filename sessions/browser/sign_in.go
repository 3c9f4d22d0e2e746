package browser

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/urlpath"
)

// SignInPath is where a sign-in begins, below our path.
const SignInPath = "/sign-in"

// What people read if their sign-in fails. It contains no text of the provider.
var (
	errSignInOver = httpapi.NewProblem(400, "sign_in_over", "This sign-in is over",
		"It took too long, was finished before, or began in another browser.")
	errSignInRefused = httpapi.NewProblem(403, "sign_in_refused", "You are not signed in",
		"The identity provider did not sign you in, or you cancelled it there.")
	errAccount = httpapi.NewProblem(403, "account_refused", "No access with this account",
		"You signed in, but this account may not use this site. Use another one, or ask whoever runs the site.")
	errSignInFailed = httpapi.NewProblem(502, "sign_in_failed", "The sign-in did not work",
		"The answer of the identity provider cannot be used. Whoever runs this site finds the reason in its log.")
	errSignInUnavailable = httpapi.NewProblem(503, "sign_in_unavailable", "Signing in is not possible now",
		"The identity provider cannot be reached. Try again in a moment.")
)

// A failure is a failed sign-in or sign-out.
type failure struct {
	*httpapi.Problem

	doing string
	cause error // for the log
}

// Error returns the cause, for the log.
func (f *failure) Error() string { return f.doing + ": " + f.cause.Error() }

// Unwrap returns what people read. Why an ID token was refused is only for the log.
func (f *failure) Unwrap() error { return f.Problem }

// Reason returns the code of the problem.
func (f *failure) Reason() string { return f.Code }

// signInProblem returns what people read for an error.
func signInProblem(err error) *httpapi.Problem {
	refusal, refused := errors.AsType[*bearer.Refusal](err)
	switch {
	case errors.Is(err, signin.ErrUnknown):
		return errSignInOver
	case errors.Is(err, signin.ErrRefused):
		return errSignInRefused
	case errors.Is(err, signin.ErrUnavailable), errors.Is(err, bearer.ErrKeysUnavailable):
		return errSignInUnavailable
	case refused && (refusal.Reason == bearer.ReasonOnly || refusal.Reason == bearer.ReasonUnverified),
		errors.Is(err, sessions.ErrDenied), errors.Is(err, sessions.ErrUserID):
		return errAccount
	case refused, errors.Is(err, signin.ErrAnswer), errors.Is(err, sessions.ErrKept):
		return errSignInFailed
	default:
		return httpapi.ProblemOf(err)
	}
}

// signIn redirects the browser to the provider: GET <path>/sign-in?return_to=<path of this site>.
func (a *API) signIn(w http.ResponseWriter, r *http.Request) error {
	returnTo := r.URL.Query().Get("return_to")
	to, err := a.SignIn.Begin(w, r, returnTo)
	if err != nil {
		return a.signInFailed(w, r, err, returnTo)
	}
	SeeOther(w, to)
	return nil
}

// signedIn processes the provider's response, and creates the person's own session. The session
// that was in the browser before is revoked.
func (a *API) signedIn(w http.ResponseWriter, r *http.Request) error {
	own, _, _ := a.Jar.Read(r)
	result, err := a.SignIn.Finish(w, r)
	if errors.Is(err, signin.ErrUnknown) && result.ReturnTo == "" && own.Present() {
		SeeOther(w, "/") // the back button, or a second click: they are already signed in
		return nil
	}
	var grant *sessions.Grant
	if err == nil {
		grant, err = a.grantTo(r, result.Caller)
	}
	if errors.Is(err, sessions.ErrStale) && !result.Again { // the provider still had an earlier session of theirs
		if to, err := a.SignIn.Again(w, r, result.ReturnTo); err == nil {
			SeeOther(w, to)
			return nil
		}
	}
	if err != nil {
		return a.signInFailed(w, r, err, result.ReturnTo)
	}
	switch {
	case a.SetSession(w.Header(), r, grant):
		a.clearSiteData(w.Header(), As)
	case own.Present(): // it may have belonged to another person
		a.clearSiteData(w.Header(), Own)
	}
	SeeOther(w, result.ReturnTo)
	return nil
}

// grantTo creates the session of a person who signed in.
func (a *API) grantTo(r *http.Request, caller *sessions.Caller) (*sessions.Grant, error) {
	if !caller.IsUser() { // it would impersonate the user with the same name here
		return nil, sessions.ErrDenied
	}
	grant, err := a.Manager.Create(r.Context(), &sessions.CreateRequest{
		Caller: caller, UserID: caller.Subject, IP: a.ClientIP(r), UserAgent: r.UserAgent(), Cookies: true, Console: a.Console,
	})
	if err == nil && !a.Jar.Fits(Own, grant) {
		err = errors.Join(sessions.ErrKept, a.Manager.SignOut(r.Context(), &grant.Session, a.ClientIP(r)))
	}
	return grant, err
}

// signInFailed shows why a sign-in failed, and how to try again.
func (a *API) signInFailed(w http.ResponseWriter, r *http.Request, err error, returnTo string) error {
	failed := &failure{signInProblem(err), "signing in", err}
	if failed.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if !forward.WantsPage(r) {
		return failed
	}
	a.Observer.Failed(r.Context(), failed.Status, failed)
	again := a.Path + SignInPath
	if returnTo != "" {
		again += "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	failed.WithInstance(a.requestID(r)).WritePage(w, httpapi.Link{Text: "Sign in again", URL: again})
	return nil
}

// signOutURL returns where a person who signed out here signs out at their provider; "" if there is
// no such URL, or if a script sends the request, which could not follow it.
func (a *API) signOutURL(r *http.Request, ended *sessions.Session) string {
	if a.SignIn == nil || ended == nil || ended.Impersonation || ended.Actor.Issuer != a.SignIn.Issuer || !forward.WantsPage(r) {
		return ""
	}
	return a.SignIn.LogoutURL(r, cmp.Or(ended.ActorSub, ended.Actor.Subject), a.Path+SignedOutPath)
}

// SeeOther redirects to a path of this site, or to a URL that was checked.
func SeeOther(w http.ResponseWriter, to string) {
	w.Header().Set("Location", urlpath.ASCII(to))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "same-origin")
	w.WriteHeader(http.StatusSeeOther)
}

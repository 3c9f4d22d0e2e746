package browser

import (
	"cmp"
	"net/http"
	"net/url"

	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/urlpath"
)

// maxForm is the maximum size of a form, in bytes.
const maxForm = 4096

var (
	// errNotRevoked is the error of a sign-out that removed the cookies but could not revoke the
	// session.
	errNotRevoked = httpapi.NewProblem(503, "session_lives_on", "Signed out in this browser only",
		"The cookies are gone from this browser, but the session could not be revoked just now: until it ends by itself, whoever has a copy of its cookies can use it. To be sure, sign in again later and sign out everywhere.")
	// errForm is the error for a form that is not one of ours.
	errForm = httpapi.NewProblem(400, "invalid_request", "Invalid request",
		"Send a form (application/x-www-form-urlencoded) with return_to, a path of this site, everywhere=true to sign out everywhere, and impersonation=true to end an impersonation alone; each at most once, or no body.")
)

// close answers POST <path>/close: it revokes the session of the pair in use and clears the pair.
// The cookies are removed even if something fails.
func (a *API) close(w http.ResponseWriter, r *http.Request) error {
	if a.CrossSite(r) {
		return httpapi.ErrCrossOrigin
	}
	form, err := a.readClose(w, r)
	if err != nil {
		return err
	}
	brought := a.credentialAtAnyHost(r)
	acting := brought.Pair == As && brought.Present()
	switch {
	case form.everywhere && acting:
		return errActing
	case form.impersonation && !acting:
		SeeOther(w, form.returnTo)
		return nil
	}
	ctx, cancel := Detached(r)
	defer cancel()
	ended, err := a.end(ctx, &brought, form.everywhere, a.ClientIP(r))
	a.ClearSite(w.Header(), brought.Pair)
	switch {
	case err != nil:
		return NotRevokedError(err)
	case ended == nil && form.everywhere: // unknown user
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2
		return errNotEverywhere
	}
	SeeOther(w, cmp.Or(a.signOutURL(r, ended), a.signedOutURL(r, "", form.returnTo), form.returnTo))
	return nil
}

// closeUnavailable is close while the store is not open.
func (a *API) closeUnavailable(w http.ResponseWriter, r *http.Request, cause error) error {
	if a.CrossSite(r) {
		return httpapi.ErrCrossOrigin
	}
	brought := a.credentialAtAnyHost(r)
	if form, err := a.readClose(w, r); err == nil && form.impersonation && brought.Pair != As {
		return cause // their own session goes on
	}
	a.ClearSite(w.Header(), brought.Pair)
	return NotRevokedError(cause)
}

// errActing is the error for an actor who would sign the user out everywhere.
var errActing = httpapi.NewProblem(403, "insufficient_scope", "Not while acting as another user",
	"You act as another user, who is not yours to sign out everywhere. Stop acting first: leave everywhere out.")

// errNotEverywhere is the error for a sign-out everywhere with a session that is over: the other
// sessions go on, and the person must know.
var errNotEverywhere = httpapi.NewProblem(401, "session_over", "Not signed out everywhere",
	"The session in this browser was over already, so your others go on. Sign in again, and then sign out everywhere.")

// A closeRequest is a request to close sessions.
type closeRequest struct {
	returnTo   string
	everywhere bool
	// impersonation means that only an impersonation is to be revoked. The page may be left over
	// from one that ended in another tab, and must not end the person's own session.
	impersonation bool
}

// readClose reads the form.
func (a *API) readClose(w http.ResponseWriter, r *http.Request) (closeRequest, error) {
	form, err := a.ReadForm(w, r, errForm)
	if err != nil {
		return closeRequest{}, err
	}
	for name, values := range form {
		known := name == "return_to" || (name == "everywhere" || name == "impersonation") && values[0] == "true"
		if !known || len(values) != 1 {
			return closeRequest{}, errForm
		}
	}
	returnTo := form.Get("return_to")
	if !urlpath.Local(returnTo) {
		returnTo = "/" // sign out anyway
	}
	return closeRequest{returnTo, form.Has("everywhere"), form.Has("impersonation")}, nil
}

// ReadForm reads a form. Forms that are too large are refused; wrong is the error of one that is none.
func (a *API) ReadForm(w http.ResponseWriter, r *http.Request, wrong *httpapi.Problem) (url.Values, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if !endpoint.IsMedia(r.Header, "application/x-www-form-urlencoded") {
		return nil, httpapi.ErrFormMedia
	}
	body, err := a.bodies.Read(w, r, maxForm)
	if err != nil {
		return nil, httpapi.BodyProblem(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, wrong
	}
	return form, nil
}

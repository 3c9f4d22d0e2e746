package browser

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
)

// A link leads to a page without a secret, so nothing happens when a mail scanner or a preview
// fetches it. The code is in the fragment, which browsers do not send. The page removes it from the
// address bar, shows what it would open, and opens it on a click:
//
//	GET  <path>/open           the page
//	POST <path>/open/preview   who would act as whom; opens nothing
//	POST <path>/open/confirm   opens it, sets the cookies, and redirects to return_to

var errCode = httpapi.NewProblem(400, "invalid_request", "Invalid request",
	"Send a form (application/x-www-form-urlencoded) with the code of the link, as its page does: code, once, and nothing else.")

// preview answers POST <path>/open/preview.
func (a *API) preview(w http.ResponseWriter, r *http.Request) error {
	request, err := a.readLink(w, r)
	if err != nil {
		return err
	}
	row, err := a.linkedSession(r, request)
	if err != nil {
		return err
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", previewOf(row, a.Manager.Store.Now()))
	return nil
}

// readLink reads a request of our page that presents a code.
func (a *API) readLink(w http.ResponseWriter, r *http.Request) (*sessions.OpenRequest, error) {
	if a.CrossSite(r) {
		return nil, httpapi.ErrCrossOrigin
	}
	form, err := a.ReadForm(w, r, errCode)
	if err != nil {
		return nil, err
	}
	if len(form) != 1 || len(form["code"]) != 1 {
		return nil, errCode
	}
	by, err := a.SignedIn(w, r)
	return &sessions.OpenRequest{Code: form.Get("code"), By: by, IP: a.ClientIP(r)}, err
}

// A preview is what a person sees before they open a link.
type preview struct {
	UserID        string              `json:"user_id"`
	Impersonation bool                `json:"is_impersonation"`
	Actor         *sessions.Principal `json:"actor"`
	Reason        string              `json:"reason"`
	// ExpiresIn is how long the session lives after it is opened, in seconds.
	ExpiresIn int64 `json:"expires_in"`
	// LinkExpiresIn is how long the link is valid, in seconds.
	LinkExpiresIn int64 `json:"link_expires_in"`
}

func previewOf(s *sessions.Session, now time.Time) *preview {
	p := &preview{
		UserID: s.UserID, Impersonation: s.Impersonation, Reason: s.Reason,
		ExpiresIn: int64(s.Pending.Life / time.Second), LinkExpiresIn: int64(max(0, s.End().Sub(now)) / time.Second),
	}
	if s.Impersonation {
		p.Actor = &s.Actor
	}
	return p
}

// linkedSession returns the session that a link would open in this browser, at this host.
func (a *API) linkedSession(r *http.Request, request *sessions.OpenRequest) (*sessions.Session, error) {
	row, err := a.Manager.Linked(r.Context(), request)
	if err == nil && !a.Links.isAt(r, &row) {
		err = errElsewhere
	}
	return &row, err
}

// confirm answers POST <path>/open/confirm.
func (a *API) confirm(w http.ResponseWriter, r *http.Request) error {
	request, err := a.readLink(w, r)
	if err != nil {
		return err
	}
	if a.Links.hasOwnHost() {
		if _, err := a.linkedSession(r, request); errors.Is(err, errElsewhere) {
			return err // the link stays valid at the right host
		}
	}
	grant, err := a.Manager.Open(r.Context(), request)
	if err != nil {
		return err
	}
	return a.deliver(w, r, grant)
}

// deliver sets the cookies of the session that was opened, revokes the one of the same kind that was
// in the browser, and redirects to its page.
func (a *API) deliver(w http.ResponseWriter, r *http.Request, grant *sessions.Grant) error {
	pair := PairOf(&grant.Session)
	if !a.Jar.Fits(pair, grant) {
		if err := a.Manager.SignOut(r.Context(), &grant.Session, a.ClientIP(r)); err != nil {
			return fmt.Errorf("revoking what does not fit: %w", err)
		}
		return errTooLong
	}
	if a.SetSession(w.Header(), r, grant) {
		pair = As // an impersonation ends here
	}
	a.clearSiteData(w.Header(), pair)
	endpoint.NoStore(w.Header())
	SeeOther(w, cmp.Or(grant.ReturnTo, "/"))
	return nil
}

// clearSiteData removes data of the app from the browser when a session begins or ends: cached
// pages, and, if impersonations share the host of own sessions, cookies of the app.
func (a *API) clearSiteData(h http.Header, p Pair) {
	if a.Jar.secure { // browsers ignore it over plain HTTP
		h.Add("Clear-Site-Data", `"cache"`) // W3C Clear Site Data, section 3.1: in addition to what an app clears
	}
	if p == As {
		a.Links.expire(h, a.Jar.secure)
	}
}

package oauthapi

import (
	"errors"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// A request is what a client asks.
type request struct {
	form
	*http.Request
	client *Client
	ip     string
}

// read reads a request, and which client it is of. Addresses that failed too often are
// refused before they authenticate, even with a good secret: otherwise they could go on guessing.
func (a *API) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	req := &request{Request: r, ip: a.ClientIP(r)}
	err := a.limited(req)
	if err != nil {
		return nil, err
	}
	if req.form, err = a.readForm(w, r); err != nil {
		return nil, err
	}
	if err = a.limited(req); err != nil { // by what failed while the body was on its way
		return nil, err
	}
	c, err := credentialOf(r.Header, req.form)
	if err == nil {
		req.client, err = a.clients.authenticate(r.Context(), c)
	}
	if errors.Is(err, errClient) {
		a.failed(req, a.clients.named(c))
	}
	return req, err
}

// limited returns an error where the address of a request failed too often.
func (a *API) limited(req *request) error {
	wait := a.Memory.limit.wait(req.ip, a.Now())
	if wait == 0 {
		return nil
	}
	limited := *errLimited
	limited.retryAfter = int((wait + time.Second - 1) / time.Second)
	return &limited
}

// failed counts a failed attempt, as a client or, "", as none that is known.
func (a *API) failed(req *request, client string) {
	if a.Memory.limit.fail(req.ip, a.Now()) {
		a.Observer.Limited(req.Context(), client)
	}
}

// refused counts what came of a token. One that is forged counts as a failed attempt, unless the
// client authenticated: what reaches that is its users' affair, who would keep each other out.
func (a *API) refused(req *request, err error) error {
	if err != nil && req.client.Public && a.isForged(err) {
		a.failed(req, req.client.ID)
	}
	return err
}

// isForged reports whether a token is one that its issuer cannot have signed. One that the
// issuer signed, and that is not good here for another reason, is an honest user's; so is one of
// a key of ours that was replaced.
func (a *API) isForged(err error) bool {
	refusal, ok := errors.AsType[*bearer.Refusal](err)
	if !ok {
		return errors.Is(err, sessions.ErrForged)
	}
	switch refusal.Reason {
	case bearer.ReasonForm, bearer.ReasonBase64, bearer.ReasonHeader, bearer.ReasonHeaderMember, bearer.ReasonCritical,
		bearer.ReasonAlgorithm, bearer.ReasonSignature:
		return true
	case bearer.ReasonUnknownKey:
		return refusal.Issuer != a.Issuer
	default: // the signature is good, or was not looked at
		return false
	}
}

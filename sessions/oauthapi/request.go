package oauthapi

import (
	"errors"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// A request is the request of a client.
type request struct {
	form
	*http.Request
	client *Client
	ip     string
}

// read reads and authenticates a request. Addresses that failed too often are refused first, even
// with a valid secret: otherwise they could go on guessing.
func (a *API) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	req := &request{Request: r, ip: a.ClientIP(r)}
	err := a.checkLimit(req)
	if err != nil {
		return nil, err
	}
	if req.form, err = a.readForm(w, r); err != nil {
		return nil, err
	}
	if err = a.checkLimit(req); err != nil { // after what failed while the body was arriving
		return nil, err
	}
	c, err := credentialOf(r.Header, req.form)
	if err == nil {
		req.client, err = a.clients.authenticate(r.Context(), c)
	}
	if errors.Is(err, errClient) {
		a.countFailure(req, a.clients.clientID(c))
	}
	return req, err
}

// checkLimit returns an error if the address of a request has failed too often.
func (a *API) checkLimit(req *request) error {
	wait := a.Memory.limit.wait(req.ip, a.Now())
	if wait == 0 {
		return nil
	}
	limited := *errLimited
	limited.retryAfter = int((wait + time.Second - 1) / time.Second)
	return &limited
}

// countFailure counts a failed attempt; client is "" if it is unknown.
func (a *API) countFailure(req *request, client string) {
	if a.Memory.limit.fail(req.ip, a.Now()) {
		a.Observer.Limited(req.Context(), client)
	}
}

// countRefused counts a refused token. A forged token counts as a failed attempt unless the client
// authenticated: it may come from its users, who would lock each other out.
func (a *API) countRefused(req *request, err error) error {
	if err != nil && req.client.Public && a.isForged(err) {
		a.countFailure(req, req.client.ID)
	}
	return err
}

// isForged reports whether the issuer cannot have signed the token. A token that it did sign but
// that is not valid for another reason comes from an honest user, and so does one signed with a key
// of ours that has been replaced.
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
	default: // the signature is valid, or was not checked
		return false
	}
}

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

// read reads a request, and tells which client it is of. Addresses that failed too often are
// not asked who they are.
func (a *API) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	req := &request{Request: r, ip: a.ClientIP(r)}
	if wait := a.limit.wait(req.ip); wait > 0 {
		limited := *errLimited
		limited.retryAfter = int((wait + time.Second - 1) / time.Second)
		return nil, &limited
	}
	var err error
	if req.form, err = a.readForm(w, r); err != nil {
		return nil, err
	}
	c, err := credentialOf(r.Header, req.form)
	if err == nil {
		req.client, err = a.clients.authenticate(r.Context(), c)
	}
	if errors.Is(err, errClient) {
		a.limit.failed(req.ip)
	}
	return req, err
}

// refused counts what came of a token. One that its issuer did not sign counts as a failed
// attempt, unless the client authenticated: what reaches that is its users' affair, who would
// keep each other out.
func (a *API) refused(req *request, err error) error {
	if err == nil || !req.client.Public {
		return err
	}
	refusal, isRefusal := errors.AsType[*bearer.Refusal](err)
	if errors.Is(err, sessions.ErrForged) || isRefusal && refusal.Reason != bearer.ReasonExpired {
		a.limit.failed(req.ip)
	}
	return err
}

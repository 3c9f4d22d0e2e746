package identity

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// guard forwards an authenticated request to next if it is allowed, and closes it when its session
// ends, if that is required.
func (m *Middleware) guard(w http.ResponseWriter, r *http.Request, id *identity, next caddyhttp.Handler) error {
	if !id.isImpersonated() {
		if !m.EndStreams || !id.isOwn() {
			return next.ServeHTTP(w, r)
		}
		return m.stream(w, r, id, next, nil)
	}
	DropOverrides(r)
	m.guardPath(r)
	unsafe := forward.Unsafe(r)
	if closed := m.restriction(r, unsafe); closed != nil {
		return &refusal{Problem: closed, by: m, who: id}
	}
	if !unsafe {
		return m.stream(w, r, id, next, nil)
	}
	act := m.newAuditedRequest(r, id.Who)
	if err := act.recordBegin(); err != nil {
		return m.unavailable(err)
	}
	return m.stream(w, r, id, next, act.recordAnswer)
}

// restriction returns why an impersonated session may not do this; nil if it may.
func (m *Middleware) restriction(r *http.Request, unsafe bool) *httpapi.Problem {
	switch {
	case m.denied.Denies(r):
		if !isCanonical(r) {
			return errVariant
		}
		return errDeny
	case m.Impersonation.ReadOnly && unsafe:
		return errReadOnly
	default:
		return nil
	}
}

// stream serves a request that is closed when its session ends. began is called with the status of
// the response; it may be nil.
func (m *Middleware) stream(w http.ResponseWriter, r *http.Request, id *identity, next caddyhttp.Handler, began func(int)) error {
	s, r := newStream(w, r, began)
	status := http.StatusInternalServerError // after a panic
	defer func() {
		s.begin(status)
		s.stop()
	}()
	if id.isOwn() {
		caller := id.caller()
		ref := m.Manager.Ref(&caller)
		defer m.Streams().Hold(&ref, moment(id.expires), s.end)()
	}
	err := next.ServeHTTP(s, r)
	if !s.finish(err) {
		status = errOver.Status
		return &refusal{Problem: errOver, by: m, cause: sessions.ErrRevoked}
	}
	status = statusOf(err)
	return err
}

// statusOf returns the status of a response that a handler left to Caddy.
func statusOf(err error) int {
	var failed caddyhttp.HandlerError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &failed) && failed.StatusCode != 0:
		return failed.StatusCode
	default:
		return http.StatusInternalServerError
	}
}

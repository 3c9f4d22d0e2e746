package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// guards are what impersonated sessions are kept from, and who is told.
type guards struct {
	paths      pathGuard
	readOnly   bool
	endStreams bool // of all sessions, not of impersonated ones alone
}

func newGuards(h *Handler) guards {
	return guards{
		paths:      newPathGuard(h.Impersonation.Deny),
		readOnly:   h.Impersonation.ReadOnly,
		endStreams: h.Identity != nil && h.Identity.EndStreams,
	}
}

// guard lets a request whose identity was decided go on to next, if it may, and ends
// it when its session ends, if that is asked for.
func (inst *instance) guard(w http.ResponseWriter, r *http.Request, id *identity, next caddyhttp.Handler) error {
	if !id.impersonated() {
		if !inst.guards.endStreams || !id.ours() {
			return next.ServeHTTP(w, r)
		}
		return inst.stream(w, r, id, next, nil)
	}
	dropOverrides(r)
	inst.gate.guardPath(r)
	unsafe := forward.Unsafe(r)
	if closed := inst.guards.closed(r, unsafe); closed != nil {
		return &refusal{Problem: closed, gate: inst.gate, who: id}
	}
	if !unsafe {
		return inst.stream(w, r, id, next, nil)
	}
	act := inst.actOf(r, id.Who)
	if err := act.begin(); err != nil {
		return inst.gate.unavailable(err)
	}
	return inst.stream(w, r, id, next, act.answered)
}

// closed says why an impersonated session may not do this; nil: it may.
func (g *guards) closed(r *http.Request, unsafe bool) *httpapi.Problem {
	switch {
	case g.paths.denies(r):
		if !isCanonical(r) {
			return errVariant
		}
		return errDeny
	case g.readOnly && unsafe:
		return errReadOnly
	default:
		return nil
	}
}

// stream serves a request that ends when its session does. began is told the status
// of the response; nil is nobody.
func (inst *instance) stream(w http.ResponseWriter, r *http.Request, id *identity, next caddyhttp.Handler, began func(int)) error {
	s, r := newStream(w, r, began)
	status := http.StatusInternalServerError // of a panic
	defer func() {
		s.begin(status)
		s.stop()
	}()
	if id.ours() {
		facts := inst.manager.Facts(id.Caller)
		defer inst.store.Load().streams.Hold(&facts, id.Caller.ExpiresAt, s.end)()
	}
	err := next.ServeHTTP(s, r)
	if !s.finish(err) {
		status = errOver.Status
		return &refusal{Problem: errOver, gate: inst.gate, cause: sessions.ErrEnded}
	}
	status = statusOf(err)
	return err
}

// statusOf is the status of a response that a handler left to Caddy.
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

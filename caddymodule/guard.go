package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// Why a request of an impersonated session is refused.
var (
	errDenied   = errors.New("an impersonated session may not go there (deny)")
	errReadOnly = errors.New("an impersonated session may only look (read_only)")
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
	httpapi.DropOverrides(r)
	inst.guards.paths.clean(r.Header)
	if !forward.Unsafe(r) {
		if err := inst.guards.refuse(r, false); err != nil {
			return caddyhttp.Error(http.StatusForbidden, err)
		}
		return inst.stream(w, r, id, next, nil)
	}
	act := inst.actOf(r, id.Who)
	if err := inst.guards.refuse(r, true); err != nil {
		act.answered(http.StatusForbidden)
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	if err := act.begin(); err != nil {
		return inst.gate.unavailable(w, r, err)
	}
	return inst.stream(w, r, id, next, act.answered)
}

// refuse tells why an impersonated session may not do this.
func (g *guards) refuse(r *http.Request, unsafe bool) error {
	switch {
	case g.paths.denies(r):
		return errDenied
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
		s.finish()
	}()
	if id.ours() {
		facts := inst.manager.Facts(id.Caller)
		defer inst.store.streams.Hold(&facts, id.Caller.ExpiresAt, s.end)()
	}
	err := next.ServeHTTP(s, r)
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

package sessions

import (
	"context"
	"errors"

	"authsidecar/sessions/event"
)

// shadow reports what the shadow policy says of a request, which decides nothing. cause is
// why the request was refused, if it was.
func (m *Manager) shadow(ctx context.Context, req *CreateRequest, wanted *Session, cause error) {
	if m.Shadow == nil || errors.Is(cause, ErrUserID) || errors.Is(cause, ErrText) {
		return
	}
	decision, err := m.Shadow.Decide(m.input(req.Caller, wanted))
	tried := *wanted
	tried.ID = "" // there is no session by this
	tried.Rule, tried.Impersonation = decision.Rule, decision.Impersonation
	m.report(ctx, &Event{Kind: event.Shadowed, Session: &tried, IP: req.IP, Err: err})
}

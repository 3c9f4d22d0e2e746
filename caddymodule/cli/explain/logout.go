package explain

import (
	"context"
	"strings"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/logoutapi"
)

// The checks of logout tokens and security events.
const (
	checkLogout bearer.Check = "logout token"
	checkEvent  bearer.Check = "security event"
)

// explainEvent explains a logout token or a security event; nil for a caller's token.
func (s *Site) explainEvent(ctx context.Context, token string, header jose.Header) *Result {
	claims, err := jose.UnverifiedClaims(token)
	if err != nil {
		return nil
	}
	logout, pushed := logoutapi.IsFor(header.Type, claims)
	if !logout && !pushed {
		return nil
	}
	step := Step{Check: checkLogout, Result: "ok", Detail: "sessions that came of what it names would be revoked"}
	if pushed {
		step = Step{Check: checkEvent, Result: "ok", Detail: "what the configuration says of its event would be done"}
	}
	result := &Result{Issuer: s.Issuer, Outcome: "accepted"}
	api := logoutapi.New(logoutapi.Config{Path: s.Path, Listeners: s.Listeners, Verifier: s.verifier})
	mend, err := api.Explain(ctx, token, pushed)
	switch {
	case bearer.IsUnavailable(err):
		result.Outcome, step.Result, step.Detail = "unknown", "unknown", "the keys of its issuer are not available"
	case err != nil:
		result.Outcome, result.Reason = "refused", logoutapi.Refused
		step.Result, step.Detail, step.Mend = "refused", strings.TrimPrefix(err.Error(), "token refused: "), mend
	}
	result.Checks = []Step{step}
	return result
}

package explain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

// A Result is what happens to a token. It does not contain the token.
type Result struct {
	Issuer  string        `json:"issuer"`
	Outcome string        `json:"outcome"` // accepted, refused or unknown
	Reason  bearer.Reason `json:"reason,omitempty"`
	Checks  []Step        `json:"checks"`
	// Trust is the issuer that a token names if it is not configured, and Section the section of
	// the page about issuers that shows what to write for it.
	Trust   string `json:"trust,omitempty"`
	Section string `json:"section,omitempty"`
	// Session is what the caller would get, if a user was named.
	Session *Session `json:"session,omitempty"`
}

// A Step is the result of a check.
type Step struct {
	Check  bearer.Check  `json:"check"`
	Result string        `json:"result"` // ok, refused, unknown or skipped
	Reason bearer.Reason `json:"reason,omitempty"`
	Detail string        `json:"detail,omitempty"`
	Mend   string        `json:"mend,omitempty"`
	// Lines are lines to write into the issuer's block, if that helps, replacing lines that begin
	// with the same words.
	Lines []string `json:"lines,omitempty"`
}

// Unknown returns the result for a token whose issuer is not configured.
func Unknown(token string) *Result {
	issuer := IssuerClaim(token)
	return &Result{Outcome: "unknown", Checks: []Step{}, Trust: issuer, Section: sectionOf(issuer)}
}

// Request is what the caller would request with the token: a session for User, if it is set.
type Request struct {
	User, Reason, Client string
}

// Explain makes the checks of the server, and asks the policy for the session.
func (s *Site) Explain(ctx context.Context, token string, asked Request) *Result {
	s.token = token
	made := s.verifier.Explain(ctx, token)
	if made.Header.Type == keyring.RefreshTokenType && IssuerClaim(token) == s.Issuer {
		return s.ownRefreshToken()
	}
	if said := s.explainEvent(ctx, token, made.Header); said != nil {
		return said
	}
	result := &Result{Issuer: s.Issuer, Outcome: "accepted", Checks: s.steps(made)}
	result.setOutcome(made.Refused())
	if asked.User != "" && made.Caller != nil {
		result.Session = s.session(made.Caller, asked)
	}
	if result.Reason == bearer.ReasonUnknownIssuer {
		issuer := IssuerClaim(token)
		result.Trust, result.Section = issuer, sectionOf(issuer)
	}
	return result
}

// ownRefreshToken returns the result for a refresh token of ours. The other checks refuse it too,
// which would only be misleading.
func (s *Site) ownRefreshToken() *Result {
	return &Result{Issuer: s.Issuer, Outcome: "refused", Reason: bearer.ReasonType, Checks: []Step{{
		Check: bearer.CheckType, Result: "refused", Reason: bearer.ReasonType,
		Detail: "it is a refresh token of this site",
		Mend:   "call with an access token; a refresh token goes to current/refresh alone, or to token of oauth if it is of a client that authenticates",
	}}}
}

// setOutcome sets the outcome, given the first error of the checks.
func (r *Result) setOutcome(err error) {
	var refusal *bearer.Refusal
	switch {
	case errors.As(err, &refusal):
		r.Outcome, r.Reason = "refused", refusal.Reason
	case err == nil:
	default:
		r.Outcome = "unknown"
		for _, step := range r.Checks { // another check refuses it whatever the keys are
			if step.Result == "refused" {
				r.Outcome, r.Reason = "refused", step.Reason
				return
			}
		}
	}
}

// Err returns why the token is not valid or the session is denied; nil if neither.
func (r *Result) Err() error {
	switch {
	case r.Outcome == "refused":
		return fmt.Errorf("the token is refused: %s", r.Reason)
	case r.Outcome == "unknown":
		return errors.New("whether the token is valid is unknown: the keys of its issuer are not available")
	case r.Session != nil && !r.Session.Allowed:
		return errors.New("the token is valid, but the session is denied")
	default:
		return nil
	}
}

// checkOrder is the order of the checks.
var checkOrder = []bearer.Check{
	bearer.CheckForm, bearer.CheckHeader, bearer.CheckIssuer, bearer.CheckKey, bearer.CheckSignature,
	bearer.CheckType, bearer.CheckAudience, bearer.CheckTimes, bearer.CheckSubject,
}

// steps returns the result of each check. The conditions appear only if there are any.
func (s *Site) steps(made *bearer.Explanation) []Step {
	byCheck := make(map[bearer.Check]bearer.Step)
	for _, step := range made.Steps {
		byCheck[step.Check] = step
	}
	steps := make([]Step, 0, len(checkOrder)+1)
	for _, check := range checkOrder {
		shown := Step{Check: check, Result: "skipped", Detail: "it needs what the checks before it did not find"}
		if step, done := byCheck[check]; done {
			shown = s.step(step, made)
		}
		steps = append(steps, shown)
	}
	if step, done := byCheck[bearer.CheckOnly]; done {
		steps = append(steps, s.step(step, made))
	}
	return steps
}

// step returns the result of a check.
func (s *Site) step(step bearer.Step, made *bearer.Explanation) Step {
	shown := Step{Check: step.Check, Result: "ok", Detail: s.detail(step.Check, made)}
	if refusal, ok := errors.AsType[*bearer.Refusal](step.Err); ok {
		advice := s.advise(refusal.Reason, made, time.Now())
		shown.Result, shown.Reason, shown.Mend, shown.Lines = "refused", refusal.Reason, advice.mend, advice.lines
	} else if step.Err != nil {
		name := s.issuerOf(made).Name
		advice := s.adviseKeys(name)
		shown.Result, shown.Mend, shown.Lines = "unknown", advice.mend, advice.lines
		if shown.Detail = s.keysFrom[name]; shown.Detail == "" {
			shown.Detail = "the keys of this issuer are not available"
		} else {
			shown.Detail = "it is not among the " + shown.Detail + ", and there may be newer ones"
		}
	}
	return shown
}

// keyName describes the key that a header names.
func keyName(h jose.Header) string {
	if h.KeyID == "" {
		return h.Algorithm + ", without a kid"
	}
	return fmt.Sprintf("%s, kid %q", h.Algorithm, h.KeyID)
}

// IssuerClaim returns the unverified issuer in the token, to choose between several blocks.
func IssuerClaim(token string) string { return new(bearer.Verifier).IssuerOf(token) }

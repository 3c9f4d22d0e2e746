package bearer

import (
	"context"
	"errors"
	"slices"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// Check names one of the checks that a token goes through, in this order.
type Check string

// The checks.
const (
	CheckForm      Check = "form"
	CheckHeader    Check = "header"
	CheckIssuer    Check = "issuer"
	CheckKey       Check = "key"
	CheckSignature Check = "signature"
	CheckType      Check = "type"
	CheckAudience  Check = "audience"
	CheckTimes     Check = "times"
	CheckSubject   Check = "subject"
	CheckOnly      Check = "only" // where the issuer has conditions
)

// A Step is what came of a check.
type Step struct {
	Check Check
	// Err is nil where the token passed, a *Refusal where it did not, and wraps
	// ErrKeysUnavailable where it is unknown.
	Err error
}

// An Explanation is what a Verifier thinks of a token, check by check.
type Explanation struct {
	// Steps are the checks that were made. After one that refuses the token the
	// others go on as far as they can be made: the claims are then what the token
	// says, and not what its issuer said.
	Steps []Step
	// Header and Claims are the token's, as far as they can be read. They are for
	// people: nothing in them was verified unless Caller is set.
	Header jose.Header
	Claims sessions.Claims
	// Unmet are the places, in Issuer.Only, of the conditions that the token does not satisfy.
	Unmet []int
	// Caller is who is calling, where no check said no.
	Caller *sessions.Caller
}

// Refused returns why Verify would refuse the token: the first error, or nil.
func (e *Explanation) Refused() error {
	for _, s := range e.Steps {
		if s.Err != nil {
			return s.Err
		}
	}
	return nil
}

// pass reports whether the check is passed, and notes it.
func (e *Explanation) pass(check Check, err error) bool {
	e.Steps = append(e.Steps, Step{check, err})
	return err == nil
}

// ofForm are the reasons that CheckForm has; those of the others of jose.Parse are
// CheckHeader's.
var ofForm = []Reason{ReasonTooLarge, ReasonForm, ReasonEncrypted, ReasonBase64}

// Explain makes the checks of Verify, one by one. It remembers nothing.
func (v *Verifier) Explain(ctx context.Context, token string) *Explanation {
	e := new(Explanation)
	parsed, err := jose.Parse(token)
	if err != nil {
		e.unread(refusalOf(err, ReasonForm))
		return e
	}
	e.pass(CheckForm, nil)
	e.pass(CheckHeader, nil)
	e.Header = parsed.Header
	e.Claims, _ = parsed.Unverified() // where they cannot be read, the issuer check fails next
	from, err := v.sourceOf(e.Claims)
	if !e.pass(CheckIssuer, err) {
		return e
	}
	e.explainKey(ctx, &from, parsed)
	e.explainClaims(&from, from.Now())
	return e
}

// unread notes why a token could not be read.
func (e *Explanation) unread(err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) && slices.Contains(ofForm, refusal.Reason) {
		e.pass(CheckForm, err)
		return
	}
	e.pass(CheckForm, nil)
	e.pass(CheckHeader, err)
}

// explainKey checks the key and the signature.
func (e *Explanation) explainKey(ctx context.Context, from *source, parsed *jose.Token) {
	key, err := from.key(ctx, parsed)
	if !e.pass(CheckKey, err) {
		return
	}
	err = parsed.Verify(key, nil)
	if err != nil {
		err = refusalOf(err, ReasonSignature)
	}
	e.pass(CheckSignature, err)
}

// explainClaims checks what the token says.
func (e *Explanation) explainClaims(from *source, now time.Time) {
	verified := e.Refused() == nil
	e.pass(CheckType, from.checkKind(e.Header.Type, e.Claims))
	var audience error
	_, fresh := from.checkIDToken(e.Header.Type, e.Claims, now)
	if isRefusal(fresh, ReasonAudience) { // by azp
		audience, fresh = fresh, nil
	}
	if !from.isAudience(e.Claims) {
		audience = refuse(ReasonAudience)
	}
	e.pass(CheckAudience, audience)
	end, err := from.checkTimes(e.Claims, now)
	if err == nil {
		err = fresh
	}
	e.pass(CheckTimes, err)
	caller, err := from.caller(e.Claims, end)
	if e.pass(CheckSubject, err) && len(from.Only) > 0 {
		e.explainOnly(from, caller)
	}
	if verified && e.Refused() == nil {
		e.Caller = caller
	}
}

// explainOnly checks what every token has to satisfy.
func (e *Explanation) explainOnly(from *source, caller *sessions.Caller) {
	for i := range from.Only {
		if one := (sessions.Trust{Only: from.Only[i : i+1]}); !one.Accepts(caller) {
			e.Unmet = append(e.Unmet, i)
		}
	}
	var err error
	if len(e.Unmet) > 0 {
		err = refuse(ReasonOnly)
	}
	e.pass(CheckOnly, err)
}

func isRefusal(err error, reason Reason) bool {
	refusal, ok := errors.AsType[*Refusal](err)
	return ok && refusal.Reason == reason
}

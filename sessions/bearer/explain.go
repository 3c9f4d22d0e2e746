package bearer

import (
	"context"
	"errors"
	"slices"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A Check is one of the checks on a token, in this order.
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
	CheckOnly      Check = "only" // if the issuer has conditions
)

// A Step is the result of a check.
type Step struct {
	Check Check
	// Err is nil if the token passed and a *Refusal if it did not; it wraps ErrKeysUnavailable if
	// that is unknown.
	Err error
}

// An Explanation is a Verifier's result for a token, check by check.
type Explanation struct {
	// Steps are the checks that were made. After one that refuses the token, the others continue as
	// far as possible, on claims that may then not come from the issuer.
	Steps []Step
	// Header and Claims are those of the token, as far as they can be read. They are for people to
	// read: nothing in them is verified unless Caller is set.
	Header jose.Header
	Claims sessions.Claims
	// Unmet are the indexes in Issuer.Only of the conditions that the token does not satisfy.
	Unmet []int
	// Caller is the caller, if every check passed.
	Caller *sessions.Caller
}

// Refused returns the error with which Verify would refuse the token: the first one, or nil.
func (e *Explanation) Refused() error {
	for _, s := range e.Steps {
		if s.Err != nil {
			return s.Err
		}
	}
	return nil
}

// pass records a check, and reports whether the token passed it.
func (e *Explanation) pass(check Check, err error) bool {
	e.Steps = append(e.Steps, Step{check, err})
	return err == nil
}

// formReasons are the reasons of CheckForm; all others from jose.Parse belong to CheckHeader.
var formReasons = []Reason{ReasonTooLarge, ReasonForm, ReasonEncrypted, ReasonBase64}

// Explain makes the checks of Verify one by one. It does not use the cache.
func (v *Verifier) Explain(ctx context.Context, token string) *Explanation {
	e := new(Explanation)
	parsed, err := jose.Parse(token)
	if err != nil {
		e.explainParse(refusalOf(err, ReasonForm))
		return e
	}
	e.pass(CheckForm, nil)
	e.pass(CheckHeader, nil)
	e.Header = parsed.Header
	e.Claims, _ = parsed.Unverified() // if they cannot be read, the issuer check fails next
	from, err := v.sourceOf(e.Claims)
	if !e.pass(CheckIssuer, err) {
		return e
	}
	e.explainKey(ctx, &from, parsed)
	e.explainClaims(&from, from.Now())
	return e
}

// explainParse records why a token could not be parsed.
func (e *Explanation) explainParse(err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) && slices.Contains(formReasons, refusal.Reason) {
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

// explainClaims checks the claims.
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

// explainOnly checks the conditions that every caller of the issuer must satisfy.
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

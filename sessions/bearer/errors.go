package bearer

import (
	"context"
	"errors"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

var (
	// ErrNoToken means that a request has no Authorization field, or one with another scheme.
	ErrNoToken = errors.New("no bearer token")
	// ErrMalformed means that a request has more than one credential, or one that does not follow
	// RFC 6750 section 2.1: 400, "invalid_request".
	ErrMalformed = errors.New("malformed bearer credentials")
	// ErrRefused is wrapped by each Refusal: 401, "invalid_token".
	ErrRefused = errors.New("bearer token refused")
	// ErrKeysUnavailable means that a token cannot be verified for now, since its issuer's keys are
	// not available. The endpoints answer 503.
	ErrKeysUnavailable = errors.New("keys of the issuer are unavailable")
	// ErrDiscovery means that the location of the issuer's keys could not be discovered.
	ErrDiscovery = errors.New("discovering keys")
)

// IsUnavailable reports whether an error leaves open whether the token is valid: the response is
// 503 and says nothing about the token.
func IsUnavailable(err error) bool {
	for _, cause := range [...]error{ErrKeysUnavailable, sessions.ErrUnavailable, keyring.ErrNoKey, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// A Reason is why a token was refused: one word per cause, for logs, metrics and tests. Clients do
// not see it.
type Reason string

// Reasons of refusals.
const (
	ReasonTooLarge      Reason = "too_large"      // over jose.MaxTokenSize
	ReasonForm          Reason = "form"           // not a compact JWS
	ReasonEncrypted     Reason = "encrypted"      // a JWE
	ReasonBase64        Reason = "base64"         // not canonical base64url
	ReasonHeader        Reason = "header"         // not strict JSON, or of wrong types
	ReasonHeaderMember  Reason = "header_member"  // "b64" (RFC 7797)
	ReasonCritical      Reason = "critical"       // "crit"
	ReasonAlgorithm     Reason = "algorithm"      // not that of the key, or unknown
	ReasonNested        Reason = "nested"         // a JWT in a JWT
	ReasonUnknownIssuer Reason = "unknown_issuer" // no "iss", or one that is not trusted
	ReasonUnknownKey    Reason = "unknown_key"    // the issuer has no such key
	ReasonSignature     Reason = "signature"
	ReasonClaims        Reason = "claims"       // not strict JSON, or of wrong types
	ReasonType          Reason = "type"         // "typ" is not among the issuer's types
	ReasonKind          Reason = "kind"         // marked as a token for another purpose
	ReasonIDToken       Reason = "id_token"     // marked as an ID token
	ReasonIDTokenAge    Reason = "id_token_age" // an ID token without "iat", or too old
	ReasonBound         Reason = "bound"        // "cnf": not a bearer token (RFC 9449 section 7.2)
	ReasonAudience      Reason = "audience"
	ReasonNoExpiry      Reason = "no_expiry"
	ReasonExpired       Reason = "expired"
	ReasonLifetime      Reason = "lifetime"     // "exp" is too far away
	ReasonNotYet        Reason = "not_yet"      // "nbf" is in the future
	ReasonIssuedLater   Reason = "issued_later" // "iat" is in the future
	ReasonSubject       Reason = "subject"      // the claim that identifies the caller is missing or not acceptable
	ReasonUnverified    Reason = "unverified"   // an email address that the issuer did not verify
	ReasonOnly          Reason = "only"         // does not satisfy the conditions of its issuer
	ReasonActor         Reason = "actor"        // "act" does not name the actor
	ReasonSession       Reason = "session"      // a token of ours without "sid"
)

// A Refusal is the error for a token that is not valid.
type Refusal struct { //nolint:errname // it is one, and no fault
	Reason Reason
	// Issuer is the configured issuer that the token names; "" if it names none.
	Issuer string
	// Claimed is the "iss" of a token that names another issuer. It is unverified text; "" if it
	// cannot be read.
	Claimed string

	err error
}

// Error returns a sentence that depends on the Reason alone, and contains nothing of the token.
func (r *Refusal) Error() string { return "bearer token refused: " + string(r.Reason) }

// Is reports whether target is ErrRefused.
func (r *Refusal) Is(target error) bool { return target == ErrRefused }

// Unwrap returns the error of package jose that caused the refusal, if there is one.
func (r *Refusal) Unwrap() error { return r.err }

func refuse(reason Reason) error { return &Refusal{Reason: reason} }

// The order of refusals matters: an error may wrap several of them.
var refusals = []struct {
	err    error
	reason Reason
}{
	{jose.ErrTooLarge, ReasonTooLarge},
	{jose.ErrEncrypted, ReasonEncrypted},
	{jose.ErrNotCompact, ReasonForm},
	{jose.ErrBase64, ReasonBase64},
	{jose.ErrCritical, ReasonCritical},
	{jose.ErrHeaderMember, ReasonHeaderMember},
	{jose.ErrHeader, ReasonHeader},
	{jose.ErrNested, ReasonNested},
	{jose.ErrAlgorithm, ReasonAlgorithm},
	{jose.ErrUnknownKey, ReasonUnknownKey},
	{jose.ErrSignature, ReasonSignature},
	{jose.ErrClaims, ReasonClaims},
}

// refusalOf turns an error of package jose into a refusal; fallback is for errors that it does not
// list.
func refusalOf(err error, fallback Reason) *Refusal {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return &Refusal{Reason: r.reason, err: r.err}
		}
	}
	return &Refusal{Reason: fallback}
}

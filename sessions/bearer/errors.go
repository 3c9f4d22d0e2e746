package bearer

import (
	"context"
	"errors"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

var (
	// ErrNoToken means that a request has no Authorization field, or one of
	// another scheme.
	ErrNoToken = errors.New("no bearer token")
	// ErrMalformed means that a request has more than one credential, or one that
	// is not as RFC 6750 section 2.1 writes it: 400, "invalid_request".
	ErrMalformed = errors.New("malformed bearer credentials")
	// ErrRefused is what each Refusal wraps: 401, "invalid_token".
	ErrRefused = errors.New("bearer token refused")
	// ErrKeysUnavailable means that it is unknown now whether a token is good,
	// since its issuer's keys cannot be had. Callers answer 503.
	ErrKeysUnavailable = errors.New("keys of the issuer are unavailable")
	// ErrDiscovery means that the issuer did not say where its keys are.
	ErrDiscovery = errors.New("discovering keys")
)

// IsUnavailable reports whether an error leaves open who is calling, or whether they still may:
// the answer is 503, and no word about the token.
func IsUnavailable(err error) bool {
	for _, cause := range [...]error{ErrKeysUnavailable, sessions.ErrUnavailable, keyring.ErrNoKey, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// A Reason says why a token was refused: one word a cause, for logs, metrics
// and tests. Clients do not see it.
type Reason string

// The reasons of refusals.
const (
	ReasonTooLarge      Reason = "too_large"      // over jose.MaxTokenSize
	ReasonForm          Reason = "form"           // not a compact JWS
	ReasonEncrypted     Reason = "encrypted"      // a JWE
	ReasonBase64        Reason = "base64"         // not canonical base64url
	ReasonHeader        Reason = "header"         // not strict JSON, or of wrong types
	ReasonHeaderMember  Reason = "header_member"  // "b64" (RFC 7797)
	ReasonCritical      Reason = "critical"       // "crit"
	ReasonAlgorithm     Reason = "algorithm"      // not the key's, or none that we know
	ReasonNested        Reason = "nested"         // a JWT in a JWT
	ReasonUnknownIssuer Reason = "unknown_issuer" // no "iss", or none that is trusted
	ReasonUnknownKey    Reason = "unknown_key"    // the issuer has no such key
	ReasonSignature     Reason = "signature"
	ReasonClaims        Reason = "claims"       // not strict JSON, or of wrong types
	ReasonType          Reason = "type"         // "typ" is not one of those that the issuer's tokens have
	ReasonKind          Reason = "kind"         // it says that it is for something else than calling
	ReasonIDToken       Reason = "id_token"     // it says that it is an ID token
	ReasonIDTokenAge    Reason = "id_token_age" // an ID token without "iat", or too old
	ReasonBound         Reason = "bound"        // "cnf": not a bearer's (RFC 9449 section 7.2)
	ReasonAudience      Reason = "audience"
	ReasonNoExpiry      Reason = "no_expiry"
	ReasonExpired       Reason = "expired"
	ReasonLifetime      Reason = "lifetime"     // "exp" is too far away
	ReasonNotYet        Reason = "not_yet"      // "nbf" is in the future
	ReasonIssuedLater   Reason = "issued_later" // "iat" is in the future
	ReasonSubject       Reason = "subject"      // the claim that names the caller is missing, or cannot
	ReasonUnverified    Reason = "unverified"   // it is an email address that the issuer did not verify
	ReasonOnly          Reason = "only"         // it does not satisfy what every token of its issuer has to
	ReasonActor         Reason = "actor"        // "act" names nobody
	ReasonSession       Reason = "session"      // a token of ours without "sid"
)

// A Refusal is the error for a token that is not good.
type Refusal struct { //nolint:errname // it is one, and no fault
	Reason Reason
	// Issuer is the configured issuer that the token says it is of; "" for none.
	Issuer string
	// Claimed is the "iss" of a token of any other issuer: whatever somebody wrote
	// there. "" where none can be read.
	Claimed string

	err error
}

// Error returns a sentence that depends on the Reason alone: nothing of the token is in
// it.
func (r *Refusal) Error() string { return "bearer token refused: " + string(r.Reason) }

// Is reports whether the target is ErrRefused.
func (r *Refusal) Is(target error) bool { return target == ErrRefused }

// Unwrap returns the sentinel of jose that the refusal comes from, if it comes
// from one.
func (r *Refusal) Unwrap() error { return r.err }

func refuse(reason Reason) error { return &Refusal{Reason: reason} }

// refusals are ordered: an error may wrap several of them.
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

// refusalOf makes a refusal of an error of jose; fallback is for errors that it
// does not name.
func refusalOf(err error, fallback Reason) *Refusal {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return &Refusal{Reason: r.reason, err: r.err}
		}
	}
	return &Refusal{Reason: fallback}
}

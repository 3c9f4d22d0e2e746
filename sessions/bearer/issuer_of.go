package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// maxClaimed is the maximum size of a token whose issuer IssuerOf reads: some tokens that are too
// large to be verified still name their issuer.
const maxClaimed = 4 * jose.MaxTokenSize

// IssuerOf returns the "iss" of a token without verifying anything; "" if it has none. It also
// reads malformed tokens that Verify refuses: a broken token of a trusted issuer must not pass for
// somebody else's.
func (v *Verifier) IssuerOf(token string) string {
	if len(token) > maxClaimed {
		return ""
	}
	parts := strings.Split(token, ".")
	if len(parts) < 2 {
		return ""
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(data, &claims, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return ""
	}
	return claims.Issuer
}

// attribute adds the issuer that a malformed token names to its refusal.
func (v *Verifier) attribute(r *Refusal, token string) error {
	name := v.IssuerOf(token)
	if from, ok := v.source(name); ok {
		r.Issuer = from.Name
	} else {
		r.Claimed = name
	}
	return r
}

// Signed is a token of a trusted issuer that serves another purpose than calling. The user of this
// package validates its claims.
type Signed struct {
	Header jose.Header
	Claims sessions.Claims
	// Issuer is the configured issuer: shared, must not be modified.
	Issuer *Issuer
	// Name is the issuer's name in the token, Trust its name in rules, and Names all names that its
	// tokens may have for it: for a tenant, only its own.
	Name  string
	Trust string
	Names []string
	// Users means that the subjects of the issuer are users of this app.
	Users bool
}

// VerifySigned verifies the form of a token, that its issuer is trusted, and its signature. It
// calls check first, with unverified content, so that a token that check refuses costs no signature
// check. Our own tokens count as untrusted. The error is that of check or a *Refusal, or wraps
// ErrKeysUnavailable.
func (v *Verifier) VerifySigned(ctx context.Context, token string, check func(*Signed) error) (*Signed, error) {
	parsed, err := jose.Parse(token)
	if err != nil {
		return nil, refusalOf(err, ReasonForm)
	}
	claims, _ := parsed.Unverified() // nil if they cannot be read
	from, err := v.sourceOf(claims)
	if err != nil {
		return nil, err
	}
	if from.Own {
		return nil, &Refusal{Reason: ReasonUnknownIssuer, Issuer: from.Name}
	}
	signed := &Signed{
		Header: parsed.Header, Claims: claims, Issuer: &from.Issuer, Name: from.name, Trust: from.trust.Name,
		Names: from.names(), Users: from.trust.Users,
	}
	if err := check(signed); err != nil {
		return nil, err
	}
	key, err := from.key(ctx, parsed)
	if err == nil {
		err = v.checkSignature(ctx, parsed, key)
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		refusal.Issuer = from.Name
	}
	if err != nil {
		return nil, err
	}
	return signed, nil
}

// names returns all names that the tokens of a source may have for it.
func (s *source) names() []string {
	if s.tenant != "" {
		return []string{s.name}
	}
	names := []string{s.Name}
	for _, name := range s.Issuers {
		if !strings.Contains(name, "*") {
			names = append(names, name)
		}
	}
	return names
}

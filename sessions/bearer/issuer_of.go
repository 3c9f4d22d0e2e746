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

// maxClaimed is how large a token may be to be asked whose it says it is: of those that
// are too large to be verified some still name their issuer.
const maxClaimed = 4 * jose.MaxTokenSize

// IssuerOf returns the "iss" that a token claims to have, verified by nobody; ""
// if it has none. It reads tokens that Verify refuses for their form, too: to
// mistake a broken token of somebody's for none of theirs would be the worse error.
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

// attributed says in a refusal whose the token claims to be, which is of no form that can
// be verified.
func (v *Verifier) attributed(r *Refusal, token string) error {
	name := v.IssuerOf(token)
	if from, ok := v.source(name); ok {
		r.Issuer = from.Name
	} else {
		r.Claimed = name
	}
	return r
}

// Signed is a token of a trusted issuer that is for something else than calling. What its claims
// must be is for whoever asks for it.
type Signed struct {
	Header jose.Header
	Claims sessions.Claims
	// Issuer is whose token it is, as it is configured: shared, and never changed.
	Issuer *Issuer
	// Name is what the token calls its issuer, Trust what rules call it, and Names are all
	// that its tokens may call it: of a tenant, its own name alone.
	Name  string
	Trust string
	Names []string
	// Users means that the subjects of the issuer are users here.
	Users bool
}

// VerifySigned verifies the form of a token, that it is of a trusted issuer, and its signature by
// the keys of that issuer. First check is asked about it, as nobody has verified it then: what it
// refuses costs no look at a signature. Our own tokens are of no trusted issuer. The error is that
// of check, a *Refusal, or wraps ErrKeysUnavailable.
func (v *Verifier) VerifySigned(ctx context.Context, token string, check func(*Signed) error) (*Signed, error) {
	parsed, err := jose.Parse(token)
	if err != nil {
		return nil, refusalOf(err, ReasonForm)
	}
	claims, _ := parsed.Unverified() // nil where they cannot be read
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

// names returns all that the tokens of a source may call it.
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

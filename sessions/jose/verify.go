package jose

import (
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"authsidecar/sessions/strictjson"
)

// maxClaimsDepth is how deep claims may be nested.
const maxClaimsDepth = 32

// Verify returns the claims, a strict JSON object, if the owner of the key signed
// them: ErrAlgorithm, ErrSignature, ErrNested or ErrClaims where not. No other
// key is tried.
func (t *Token) Verify(k *Key) (claims []byte, err error) {
	payload, err := t.verifySignature(k)
	if err != nil {
		return nil, err
	}
	if err := strictjson.CheckObject(payload, maxClaimsDepth); err != nil {
		if form := checkForm(string(payload)); form == nil || errors.Is(form, ErrEncrypted) {
			return nil, ErrNested
		}
		return nil, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	return payload, nil
}

// verifySignature checks the very bytes that came. jws.Verify would write the
// header anew and so take a token with space around it for the same token.
func (t *Token) verifySignature(k *Key) ([]byte, error) {
	if k == nil || k.material == nil {
		return nil, ErrUnknownKey
	}
	if t.Header.Algorithm != string(k.algorithm) {
		return nil, ErrAlgorithm
	}
	verifier, err := jws.NewVerifier(kinds[k.algorithm].library(k.algorithm))
	if err != nil {
		return nil, ErrAlgorithm
	}
	if err := verifier.Verify(t.signed, t.signature, k.material()); err != nil {
		return nil, ErrSignature // the library's error may hold the token
	}
	if err := t.checkSalt(k); err != nil {
		return nil, err
	}
	return t.payload, nil
}

// library returns the library's name of the algorithm: it does not know those of RFC
// 9864.
func (k kind) library(alg Algorithm) jwa.SignatureAlgorithm {
	if k.crv == "Ed25519" {
		return jwa.EdDSA
	}
	return jwa.SignatureAlgorithm(alg)
}

// checkSalt refuses PSS signatures with a salt of another length than the hash's
// (RFC 7518 section 3.5): the library takes any. Only verifying once more tells.
func (t *Token) checkSalt(k *Key) error {
	kind := kinds[k.algorithm]
	key, ok := k.material().(*rsa.PublicKey)
	if !kind.pss || !ok {
		return nil
	}
	hash := kind.hash.New()
	hash.Write(t.signed)
	if rsa.VerifyPSS(key, kind.hash, hash.Sum(nil), t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) != nil {
		return ErrSignature
	}
	return nil
}

package jose

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"authsidecar/sessions/strictjson"
)

// maxClaimsDepth limits the nesting of claims.
const maxClaimsDepth = 16

// Unverified returns the claims, a strict JSON object as strictjson.Object reads it, or ErrNested
// or ErrClaims. Anyone may have written them: use them only to select the keys to try. The map is
// the same each time and must not be modified.
func (t *Token) Unverified() (map[string]any, error) {
	if t.claims != nil {
		return t.claims, nil
	}
	claims, err := strictjson.Object(t.payload, maxClaimsDepth)
	if err != nil {
		return nil, t.badClaims(err)
	}
	t.claims = claims
	return claims, nil
}

// UnverifiedClaims returns the claims of a token that was parsed and verified before. Nothing else
// of it is checked.
func UnverifiedClaims(compact string) (map[string]any, error) {
	first, last := strings.IndexByte(compact, '.'), strings.LastIndexByte(compact, '.')
	if first >= last {
		return nil, ErrNotCompact
	}
	payload, err := decode(compact[first+1 : last])
	if err != nil {
		return nil, err
	}
	return (&Token{payload: payload}).Unverified()
}

// Verify checks the signature with the key, and then decodes the claims strictly into the value
// that into points to. The errors are ErrAlgorithm, ErrSignature, ErrNested and ErrClaims. If into
// is nil, the claims are those of Unverified.
func (t *Token) Verify(k *Key, into any) error {
	if err := t.verifySignature(k); err != nil {
		return err
	}
	return t.read(into)
}

// read decodes the claims after the signature was checked.
func (t *Token) read(into any) error {
	if into == nil {
		_, err := t.Unverified()
		return err
	}
	if err := strictjson.Unmarshal(t.payload, maxClaimsDepth, into); err != nil {
		return t.badClaims(err)
	}
	return nil
}

// VerifyOwn is Verify for the holder of the private key. Ed25519 signatures are deterministic (RFC
// 8032 section 5.1.6), and signing takes half as long as verifying: so it signs the token again and
// compares the result, in constant time.
func (t *Token) VerifyOwn(k *PrivateKey, into any) error {
	key, ok := k.signer().(ed25519.PrivateKey)
	if !ok {
		return t.Verify(k.public, into)
	}
	if t.Header.Algorithm != string(k.Algorithm()) {
		return ErrAlgorithm
	}
	if subtle.ConstantTimeCompare(ed25519.Sign(key, t.signed), t.signature) != 1 {
		return ErrSignature
	}
	return t.read(into)
}

// badClaims returns why the payload is not claims.
func (t *Token) badClaims(err error) error {
	if form := checkForm(string(t.payload)); form == nil || errors.Is(form, ErrEncrypted) {
		return ErrNested
	}
	return fmt.Errorf("%w: %w", ErrClaims, err)
}

// verifySignature checks exactly the bytes that were received. jws.Verify would re-encode the
// header, and so accept a token with white space around it as the same token.
func (t *Token) verifySignature(k *Key) error {
	if k == nil || k.material == nil {
		return ErrUnknownKey
	}
	if t.Header.Algorithm != string(k.algorithm) {
		return ErrAlgorithm
	}
	verifier, err := jws.NewVerifier(kinds[k.algorithm].library(k.algorithm))
	if err != nil {
		return ErrAlgorithm
	}
	if err := verifier.Verify(t.signed, t.signature, k.material()); err != nil {
		return ErrSignature // the library's error may contain the token
	}
	return t.checkSalt(k)
}

// library returns the library's name of the algorithm, which does not know those of RFC 9864.
func (k kind) library(alg Algorithm) jwa.SignatureAlgorithm {
	if k.crv == "Ed25519" {
		return jwa.EdDSA
	}
	return jwa.SignatureAlgorithm(alg)
}

// checkSalt refuses PSS signatures whose salt length differs from that of the hash (RFC 7518
// section 3.5). The library accepts any length, and only a second verification reveals it.
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

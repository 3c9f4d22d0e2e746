package jose

import (
	"crypto"
	_ "crypto/sha256" // the hashes of the algorithms
	_ "crypto/sha512"
	"slices"
)

// An Algorithm is a JWS algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1,
// RFC 9864 section 2.2).
type Algorithm string

// The algorithms. There is no "none" and no ES256K.
const (
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
	EdDSA Algorithm = "EdDSA" // with Ed25519
	// Ed25519 is the name in RFC 9864 for EdDSA with Ed25519. A key and a token must use the same
	// name of the two.
	Ed25519 Algorithm = "Ed25519"
	RS256   Algorithm = "RS256"
	RS384   Algorithm = "RS384"
	RS512   Algorithm = "RS512"
	PS256   Algorithm = "PS256"
	PS384   Algorithm = "PS384"
	PS512   Algorithm = "PS512"
	HS256   Algorithm = "HS256"
	HS384   Algorithm = "HS384"
	HS512   Algorithm = "HS512"
)

var (
	asymmetric = []Algorithm{ES256, ES384, ES512, EdDSA, Ed25519, RS256, RS384, RS512, PS256, PS384, PS512}
	symmetric  = []Algorithm{HS256, HS384, HS512}
)

// A kind describes an algorithm: the keys that it takes, and how it uses them.
type kind struct {
	kty, crv string
	hash     crypto.Hash
	pss      bool
}

var kinds = map[Algorithm]kind{
	ES256:   {kty: "EC", crv: "P-256", hash: crypto.SHA256},
	ES384:   {kty: "EC", crv: "P-384", hash: crypto.SHA384},
	ES512:   {kty: "EC", crv: "P-521", hash: crypto.SHA512},
	EdDSA:   {kty: "OKP", crv: "Ed25519"},
	Ed25519: {kty: "OKP", crv: "Ed25519"},
	RS256:   {kty: "RSA", hash: crypto.SHA256},
	RS384:   {kty: "RSA", hash: crypto.SHA384},
	RS512:   {kty: "RSA", hash: crypto.SHA512},
	PS256:   {kty: "RSA", hash: crypto.SHA256, pss: true},
	PS384:   {kty: "RSA", hash: crypto.SHA384, pss: true},
	PS512:   {kty: "RSA", hash: crypto.SHA512, pss: true},
	HS256:   {kty: "oct", hash: crypto.SHA256},
	HS384:   {kty: "oct", hash: crypto.SHA384},
	HS512:   {kty: "oct", hash: crypto.SHA512},
}

// ParseAlgorithm returns the algorithm with that name, which is case-sensitive, or ErrAlgorithm.
func ParseAlgorithm(name string) (Algorithm, error) {
	if _, known := kinds[Algorithm(name)]; !known {
		return "", ErrAlgorithm
	}
	return Algorithm(name), nil
}

// Symmetric reports whether the verifying key can also sign.
func (a Algorithm) Symmetric() bool { return kinds[a].kty == "oct" }

// Asymmetric returns all algorithms with public keys.
func Asymmetric() []Algorithm { return slices.Clone(asymmetric) }

// algorithmsFor returns the allowed algorithms of a key: the one that it names or, if it names none,
// those of its type (RFC 7517 section 4.4).
func algorithmsFor(says string, kty, crv string, allowed []Algorithm) []Algorithm {
	var fit []Algorithm
	for _, alg := range allowed {
		if k := kinds[alg]; k.kty == kty && k.crv == crv && (says == "" || says == string(alg)) {
			fit = append(fit, alg)
		}
	}
	return fit
}

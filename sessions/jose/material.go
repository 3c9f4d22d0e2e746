package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
	"math/big"
	"slices"
)

// material returns the key material that the members of the JWK describe (RFC 7518 section 6, RFC
// 8037 section 2).
func (w *jwk) material() (any, error) {
	switch w.kty {
	case "EC":
		return w.point()
	case "OKP":
		x, err := w.bytes("x")
		switch {
		case w.crv != "Ed25519":
			return nil, fmt.Errorf("%w: its crv", ErrUnsupportedKey)
		case err != nil:
			return nil, err
		case len(x) != ed25519.PublicKeySize:
			return nil, fmt.Errorf("%w: x has another length than the curve's", ErrKey)
		}
		return ed25519.PublicKey(x), nil
	case "RSA":
		return w.modulus()
	case "oct":
		return w.bytes("k")
	default:
		return nil, fmt.Errorf("%w: its kty", ErrUnsupportedKey)
	}
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func (w *jwk) point() (*ecdsa.PublicKey, error) {
	curve, known := curves[w.crv]
	if !known {
		return nil, fmt.Errorf("%w: its crv", ErrUnsupportedKey)
	}
	at, err := w.all("x", "y")
	if err != nil {
		return nil, err
	}
	if size := coordinateSize(curve); len(at[0]) != size || len(at[1]) != size {
		return nil, fmt.Errorf("%w: x or y has another length than the curve's", ErrKey)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, at[0], at[1]))
	if err != nil {
		return nil, fmt.Errorf("%w: the point is not on the curve", ErrKey)
	}
	return key, nil
}

// coordinateSize returns the length of a coordinate in bytes.
func coordinateSize(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

func (w *jwk) modulus() (*rsa.PublicKey, error) {
	members, err := w.all("n", "e")
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(members[1])
	if exponent.BitLen() > 31 {
		return nil, fmt.Errorf("%w: RSA with an exponent of more than 31 bits", ErrUnsupportedKey)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(members[0]), E: int(exponent.Int64())}, nil
}

// signer returns the private key of the JWK, which must match its public key.
func (w *jwk) signer() (crypto.Signer, error) {
	public, err := w.material()
	if err != nil {
		return nil, err
	}
	d, err := w.bytes("d")
	if err != nil {
		return nil, err
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		key, err := ecdsa.ParseRawPrivateKey(public.Curve, d)
		if err != nil || !key.PublicKey.Equal(public) {
			return nil, errPair
		}
		return key, nil
	case ed25519.PublicKey:
		if len(d) != ed25519.SeedSize {
			return nil, errPair
		}
		key := ed25519.NewKeyFromSeed(d)
		if subtle.ConstantTimeCompare(key[ed25519.SeedSize:], public) != 1 {
			return nil, errPair
		}
		return key, nil
	case *rsa.PublicKey:
		return w.rsa(public, d)
	default:
		return nil, ErrUnsupportedKey
	}
}

// errPair does not say what differs, since that is secret.
var errPair = fmt.Errorf("%w: its private and its public part do not match", ErrKey)

func (w *jwk) rsa(public *rsa.PublicKey, d []byte) (crypto.Signer, error) {
	if _, there := w.members["oth"]; there {
		return nil, fmt.Errorf("%w: RSA with more than two primes", ErrUnsupportedKey)
	}
	if err := checkRSA(public); err != nil {
		return nil, err // before the library, which calls it malformed
	}
	primes, err := w.all("p", "q")
	if err != nil {
		return nil, err
	}
	key := &rsa.PrivateKey{PublicKey: *public, D: new(big.Int).SetBytes(d), Primes: []*big.Int{new(big.Int).SetBytes(primes[0]), new(big.Int).SetBytes(primes[1])}}
	key.Precompute()
	if key.Validate() != nil {
		return nil, errPair
	}
	return key, nil
}

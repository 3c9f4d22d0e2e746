package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"
)

// Sizes of RSA keys in bits. The minimum is that of RFC 7518 section 3.3; the maximum limits the
// cost of a verification.
const (
	minRSA = 2048
	maxRSA = 8192
)

// checkStrength returns an error for keys that an attacker can guess, factor or forge signatures
// for.
func checkStrength(key any, alg Algorithm) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return nil // their curves are strong, and their points have been checked
	case *rsa.PublicKey:
		return checkRSA(key)
	case []byte:
		if size := kinds[alg].hash.Size(); len(key) < size {
			return fmt.Errorf("%w: %s needs a secret of %d bytes or more", ErrWeakKey, alg, size)
		}
		return nil
	default:
		return ErrUnsupportedKey
	}
}

func checkRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < minRSA:
		return fmt.Errorf("%w: RSA with less than %d bits", ErrWeakKey, minRSA)
	case bits > maxRSA:
		return fmt.Errorf("%w: RSA with more than %d bits", ErrUnsupportedKey, maxRSA)
	case key.N.Bit(0) == 0:
		return fmt.Errorf("%w: RSA with an even modulus", ErrWeakKey)
	case key.E < 3 || key.E%2 == 0:
		return fmt.Errorf("%w: RSA with an exponent that is 1 or even", ErrWeakKey)
	case isROCA(key.N):
		return fmt.Errorf("%w: RSA with primes as in CVE-2017-15361 (ROCA)", ErrWeakKey)
	default:
		return nil
	}
}

// isROCA reports whether a modulus has the fingerprint of CVE-2017-15361: the primes are 65537^a mod
// M plus a multiple of M, where M is the product of the first primes, so the modulus too is a power
// of 65537 modulo each of these primes. About one in 2^27 other keys matches.
func isROCA(n *big.Int) bool {
	for p := int64(3); p <= 167; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		residue := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power := int64(1)
		for power != residue {
			if power = power * 65537 % p; power == 1 {
				return false
			}
		}
	}
	return true
}

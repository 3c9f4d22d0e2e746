package jose

import (
	"encoding/json"
	"errors"
	"fmt"

	"authsidecar/sessions/strictjson"
)

// Bounds of what is read.
const (
	maxSetSize  = 1 << 20
	maxSetKeys  = 100
	maxKeyDepth = 8
	maxIDSize   = 256
)

// A KeyPolicy says which keys are accepted. The zero value accepts the
// asymmetric ones.
type KeyPolicy struct {
	// Algorithms are those that keys may have. A key that does not say its
	// algorithm gets the first that fits it. nil: all asymmetric ones, and with
	// Symmetric the HMAC ones, too; an RSA key is then for RS256.
	Algorithms []Algorithm
	// Symmetric accepts "oct" keys, for files and secrets of this machine. A set
	// of both kinds is then refused.
	Symmetric bool
}

func (p *KeyPolicy) allowed() []Algorithm {
	switch {
	case p.Algorithms != nil:
		return p.Algorithms
	case p.Symmetric:
		return append(Asymmetric(), symmetric...)
	default:
		return asymmetric
	}
}

// Skipped is a key of a set that is not used, and why.
type Skipped struct {
	// Index is the place of the key in the set, from 0.
	Index int
	// KeyID is its "kid", if it has one that can be read. It is the issuer's text:
	// of up to 256 bytes, which may be any.
	KeyID string
	// Err wraps one of the errors of keys, or ErrAlgorithm. It holds nothing of
	// the key.
	Err error
}

// ParseSet reads a JWK set from outside (RFC 7517 section 5), of up to 1 MiB and
// 100 keys. Keys that cannot be used are skipped, with the reason: of an unknown
// kty, crv or alg, not for signatures, weak, private, symmetric (unless the
// policy takes them), and all keys of a kid that comes twice, unless the others are
// for something else. So the set may be empty: the caller decides what that means.
//
// ErrKeySet means that data is no such set, ErrMixedKeys that the policy takes
// symmetric keys and the set has both kinds.
func ParseSet(data []byte, p KeyPolicy) (*Set, []Skipped, error) {
	return parseSet(data, p, false)
}

// parseSet reads a set; with private, of a private key the public part is taken.
func parseSet(data []byte, p KeyPolicy, private bool) (*Set, []Skipped, error) {
	members, err := setMembers(data)
	if err != nil {
		return nil, nil, err
	}
	keys := make([]*Key, len(members))
	var skipped []Skipped
	count := map[string]int{}
	var oct, other bool
	for i, raw := range members {
		w, err := readJWK(raw)
		oct, other = oct || w.kty == "oct", other || isAsymmetric(w.kty)
		if err == nil {
			keys[i], err = w.key(p, private)
		}
		if err != nil {
			skipped = append(skipped, Skipped{i, w.kid, err})
		}
		if !elsewhere(err) {
			count[w.kid]++
		}
	}
	if p.Symmetric && oct && other {
		return nil, nil, ErrMixedKeys
	}
	usable := make([]*Key, 0, len(keys))
	for i, key := range keys {
		switch {
		case key == nil:
		case key.id != "" && count[key.id] > 1:
			skipped = append(skipped, Skipped{i, key.id, ErrDuplicateKey})
		default:
			usable = append(usable, key)
		}
	}
	set, err := NewSet(usable...)
	return set, skipped, err
}

// elsewhere tells whether a key is good for something else, so that its kid is not
// in the way of one that is good here. Of a key that is merely bad, it is.
func elsewhere(err error) bool {
	return errors.Is(err, ErrKeyUse) || errors.Is(err, ErrAlgorithm) || errors.Is(err, ErrUnsupportedKey)
}

// setMembers returns what stands in the "keys" of a set.
func setMembers(data []byte) ([]json.RawMessage, error) {
	if len(data) > maxSetSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrKeySet, maxSetSize)
	}
	members, err := strictjson.Members(data, maxKeyDepth)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	for _, member := range members {
		if member.Name != "keys" {
			continue
		}
		var keys []json.RawMessage
		if member.Value[0] != '[' || json.Unmarshal(member.Value, &keys) != nil {
			return nil, fmt.Errorf("%w: its keys are not an array", ErrKeySet)
		}
		if len(keys) > maxSetKeys {
			return nil, fmt.Errorf("%w: more than %d keys", ErrKeySet, maxSetKeys)
		}
		return keys, nil
	}
	return nil, fmt.Errorf("%w: it has no keys", ErrKeySet)
}

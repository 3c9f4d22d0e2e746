package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"authsidecar/sessions/strictjson"
)

// Limits on input.
const (
	maxSetSize  = 1 << 20
	maxSetKeys  = 500
	maxKeyDepth = 8
	maxIDSize   = 256
)

// A KeyPolicy selects the keys that are accepted. The zero value accepts asymmetric keys.
type KeyPolicy struct {
	// Algorithms are the allowed algorithms. A key that names no algorithm gets all of them that
	// fit its type. nil means all asymmetric ones, and with Symmetric the HMAC ones too.
	Algorithms []Algorithm
	// Symmetric accepts "oct" keys, for files and secrets of this machine, unless there are public
	// keys beside them.
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
	// Index is the index of the key in the set, from 0.
	Index int
	// KeyID is the "kid", if it could be read. It is arbitrary text of the issuer, up to 256 bytes.
	KeyID string
	// Err wraps one of the errors of keys, or ErrAlgorithm. It contains nothing of the key.
	Err error
}

// ParseSet parses a JWK set (RFC 7517 section 5) from an untrusted source, up to 1 MiB and 500
// keys. Keys that cannot be used are skipped, with the reason: unknown kty, crv or alg, invalid
// issuer, not for signatures, weak, private, not strict JSON, symmetric (unless the policy accepts
// that and there are no public keys), or two different keys with the same kid and algorithm. So the
// set may be empty; the user of this package decides what that means.
//
// A key that names no algorithm gives a Key for each algorithm that the policy allows and its type
// supports. A duplicate key counts once.
//
// ErrKeySet means that data is not such a set.
func ParseSet(data []byte, p KeyPolicy) (*Set, []Skipped, error) {
	return parseSet(data, p, false)
}

// parseSet parses a set; if private is set, private keys count as their public part.
func parseSet(data []byte, p KeyPolicy, private bool) (*Set, []Skipped, error) {
	members, err := setMembers(data)
	if err != nil {
		return nil, nil, err
	}
	entries := make([]entry, len(members))
	for i, raw := range members {
		entries[i] = readEntry(raw, p, private)
	}
	dropSecrets(entries)
	dropAmbiguous(entries)
	var keys []*Key
	var skipped []Skipped
	for i, e := range entries {
		if e.err != nil {
			skipped = append(skipped, Skipped{i, e.kid, e.err})
			continue
		}
		keys = append(keys, e.keys...)
	}
	set, err := NewSet(keys...)
	return set, skipped, err
}

// An entry is a key of a set after parsing: a Key for each algorithm, or the error.
type entry struct {
	kid, kty string
	keys     []*Key
	err      error
}

func readEntry(raw json.RawMessage, p KeyPolicy, private bool) entry {
	w, err := readJWK(raw)
	e := entry{kid: w.kid, kty: w.kty, err: err}
	if err == nil {
		e.keys, e.err = w.keys(p, private)
	}
	return e
}

// dropSecrets removes the symmetric keys from a set with public keys: whoever publishes the set may
// have published them too (RFC 8725 section 2.1).
func dropSecrets(entries []entry) {
	if !slices.ContainsFunc(entries, func(e entry) bool { return isAsymmetric(e.kty) }) {
		return
	}
	for i := range entries {
		if e := &entries[i]; e.kty == "oct" && e.err == nil {
			e.err = ErrMixedKeys
		}
	}
}

// An ambiguityKey is a kid together with an algorithm, or with the key type if the key cannot be
// used.
type ambiguityKey struct{ kid, name string }

// dropAmbiguous removes different keys that share a kid and an algorithm.
func dropAmbiguous(entries []entry) {
	holders, several := map[ambiguityKey]*Key{}, map[ambiguityKey]bool{}
	for _, e := range entries {
		if e.err != nil && !isOtherUse(e.err) {
			several[ambiguityKey{e.kid, e.kty}] = true
		}
		if e.err != nil {
			continue
		}
		for _, key := range e.keys {
			its := ambiguityKey{e.kid, string(key.algorithm)}
			known, taken := holders[its]
			several[its] = several[its] || taken && !known.same(key)
			holders[its] = key
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.kid == "" || e.err != nil {
			continue
		}
		ambiguous := several[ambiguityKey{e.kid, e.kty}]
		for _, key := range e.keys {
			ambiguous = ambiguous || several[ambiguityKey{e.kid, string(key.algorithm)}]
		}
		if ambiguous {
			e.err = ErrDuplicateKey
		}
	}
}

// isOtherUse reports whether the error means that a key serves another purpose, so that its kid does
// not conflict with a usable key. The kid of an invalid key does.
func isOtherUse(err error) bool {
	return errors.Is(err, ErrKeyUse) || errors.Is(err, ErrAlgorithm) || errors.Is(err, ErrUnsupportedKey)
}

// setMembers returns the elements of "keys" of a set.
func setMembers(data []byte) ([]json.RawMessage, error) {
	if len(data) > maxSetSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrKeySet, maxSetSize)
	}
	members, err := strictjson.OuterMembers(data, maxKeyDepth)
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

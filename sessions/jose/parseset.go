package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"authsidecar/sessions/strictjson"
)

// Bounds of what is read.
const (
	maxSetSize  = 1 << 20
	maxSetKeys  = 500
	maxKeyDepth = 8
	maxIDSize   = 256
)

// A KeyPolicy says which keys are accepted. The zero value accepts the
// asymmetric ones.
type KeyPolicy struct {
	// Algorithms are those that keys may have. A key that does not say its
	// algorithm gets all of them that fit its type. nil: all asymmetric ones, and
	// with Symmetric the HMAC ones, too.
	Algorithms []Algorithm
	// Symmetric accepts "oct" keys, for files and secrets of this machine, where no
	// public key stands beside them.
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
// 500 keys. Keys that cannot be used are skipped, with the reason: of an unknown
// kty, crv or alg, of an issuer that is no text, not for signatures, weak, private, no strict JSON, symmetric
// (unless the policy takes them and no public key stands beside them), and those of
// one kid and one algorithm that are two different keys. So the set may be empty:
// the caller decides what that means.
//
// A key that does not say its algorithm is there once for each that the policy
// allows and its type has. A key that stands there twice is there once.
//
// ErrKeySet means that data is no such set.
func ParseSet(data []byte, p KeyPolicy) (*Set, []Skipped, error) {
	return parseSet(data, p, false)
}

// parseSet reads a set; with private, of a private key the public part is taken.
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

// An entry is a key of a set as it was read: a Key for each algorithm, or why not.
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

// dropSecrets takes the symmetric keys out of a set that has public ones: whoever
// publishes the one may have published the other (RFC 8725 section 2.1).
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

// A claimant is whose a kid is: an algorithm's, or the type's of a key that cannot be
// used.
type claimant struct{ kid, name string }

// dropAmbiguous takes out the keys that have one kid and one algorithm, and differ.
func dropAmbiguous(entries []entry) {
	holders, several := map[claimant]*Key{}, map[claimant]bool{}
	for _, e := range entries {
		if e.err != nil && !elsewhere(e.err) {
			several[claimant{e.kid, e.kty}] = true
		}
		if e.err != nil {
			continue
		}
		for _, key := range e.keys {
			its := claimant{e.kid, string(key.algorithm)}
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
		ambiguous := several[claimant{e.kid, e.kty}]
		for _, key := range e.keys {
			ambiguous = ambiguous || several[claimant{e.kid, string(key.algorithm)}]
		}
		if ambiguous {
			e.err = ErrDuplicateKey
		}
	}
}

// elsewhere reports whether a key is good for something else, so that its kid is not
// in the way of one that is good here. Of a key that is merely bad, it is.
func elsewhere(err error) bool {
	return errors.Is(err, ErrKeyUse) || errors.Is(err, ErrAlgorithm) || errors.Is(err, ErrUnsupportedKey)
}

// setMembers returns what stands in the "keys" of a set.
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

package jose

import (
	"fmt"
	"slices"
)

// A Set is an immutable set of keys.
type Set struct {
	keys []*Key
	byID map[string][]*Key // keys without an ID are under ""
}

// NewSet returns a set of these keys without duplicates. Mixing symmetric and asymmetric keys is
// ErrMixedKeys (RFC 8725 section 2.1); two different keys with the same ID and algorithm are
// ErrDuplicateKey. Keys of several algorithms may share an ID (RFC 7517 section 4.5).
func NewSet(keys ...*Key) (*Set, error) {
	s := &Set{keys: make([]*Key, 0, len(keys)), byID: make(map[string][]*Key, len(keys))}
	for _, key := range keys {
		if key == nil || key.material == nil {
			return nil, fmt.Errorf("%w: it is nil", ErrKey)
		}
		if key.algorithm.Symmetric() != keys[0].algorithm.Symmetric() {
			return nil, ErrMixedKeys
		}
		if err := s.add(key); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add adds a key unless it is already in the set.
func (s *Set) add(key *Key) error {
	for _, other := range s.byID[key.id] {
		switch {
		case other.algorithm != key.algorithm:
		case other.same(key):
			return nil
		case key.id != "":
			return ErrDuplicateKey
		}
	}
	s.keys = append(s.keys, key)
	s.byID[key.id] = append(s.byID[key.id], key)
	return nil
}

// Len returns the number of keys: a JWK counts once for each of its algorithms.
func (s *Set) Len() int { return len(s.keys) }

// Keys returns a new slice of all keys.
func (s *Set) Keys() []*Key { return slices.Clone(s.keys) }

// Lookup returns the key with which a token with this header must be signed: the key with that ID
// and algorithm or, without an ID, the only key of that algorithm. If no key has an ID (PEM,
// secret), they match any ID. There is never a second key to try.
//
// ErrUnknownKey means that there is no such key, ErrAlgorithm that it has another algorithm.
func (s *Set) Lookup(kid string, alg Algorithm) (*Key, error) {
	candidates, named := s.keys, false
	if kid != "" {
		if candidates = s.byID[kid]; len(candidates) > 0 {
			named = true
		} else if candidates = s.byID[""]; len(candidates) < len(s.keys) {
			return nil, ErrUnknownKey
		}
	}
	var found *Key
	for _, key := range candidates {
		if key.algorithm != alg {
			continue
		}
		if found != nil && !found.same(key) {
			return nil, ErrUnknownKey
		}
		found = key
	}
	switch {
	case found != nil:
		return found, nil
	case named || sameMaterial(candidates):
		return nil, ErrAlgorithm
	default:
		return nil, ErrUnknownKey
	}
}

// sameMaterial reports whether all keys have the same material, for whatever algorithms.
func sameMaterial(keys []*Key) bool {
	for _, key := range keys {
		if !key.same(keys[0]) {
			return false
		}
	}
	return len(keys) > 0
}

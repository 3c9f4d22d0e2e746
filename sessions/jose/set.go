package jose

import (
	"fmt"
	"slices"
)

// A Set is keys to choose from. It never changes.
type Set struct {
	keys []*Key
	byID map[string][]*Key // under "" those without an ID
}

// NewSet returns a set of these keys; what comes twice is there once. Symmetric and
// asymmetric ones together are ErrMixedKeys (RFC 8725 section 2.1), two different
// keys of one ID and one algorithm ErrDuplicateKey. One ID may stand for keys of
// several algorithms (RFC 7517 section 4.5).
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

// add adds a key, unless it is there already.
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

// Len returns how many keys there are: one that is good for several algorithms
// counts for each.
func (s *Set) Len() int { return len(s.keys) }

// Keys returns all keys. The slice is the caller's.
func (s *Set) Keys() []*Key { return slices.Clone(s.keys) }

// Lookup finds the one key that a token with this header may be signed with: the
// key of that ID and that algorithm, or without an ID the only key of that
// algorithm. Where no key has an ID of its own (PEM, secret), they answer to any.
// There is never a second one to try.
//
// ErrUnknownKey means that there is none, ErrAlgorithm that it has another
// algorithm.
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
	case named || alike(candidates):
		return nil, ErrAlgorithm
	default:
		return nil, ErrUnknownKey
	}
}

// alike reports whether there is one key, for whatever algorithms.
func alike(keys []*Key) bool {
	for _, key := range keys {
		if !key.same(keys[0]) {
			return false
		}
	}
	return len(keys) > 0
}

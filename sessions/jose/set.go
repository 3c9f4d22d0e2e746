package jose

import (
	"fmt"
	"slices"
)

// A Set is keys to choose from. It never changes.
type Set struct {
	keys []*Key
	byID map[string]*Key
}

// NewSet returns a set of these keys. Symmetric and asymmetric ones together are
// ErrMixedKeys (RFC 8725 section 2.1), two of one ID ErrDuplicateKey.
func NewSet(keys ...*Key) (*Set, error) {
	s := &Set{keys: slices.Clone(keys), byID: make(map[string]*Key, len(keys))}
	for _, key := range keys {
		if key == nil || key.material == nil {
			return nil, fmt.Errorf("%w: it is nil", ErrKey)
		}
		if key.algorithm.Symmetric() != keys[0].algorithm.Symmetric() {
			return nil, ErrMixedKeys
		}
		if key.id == "" {
			continue
		}
		if s.byID[key.id] != nil {
			return nil, ErrDuplicateKey
		}
		s.byID[key.id] = key
	}
	return s, nil
}

// Len returns how many keys there are.
func (s *Set) Len() int { return len(s.keys) }

// Keys returns all keys. The slice is the caller's.
func (s *Set) Keys() []*Key { return slices.Clone(s.keys) }

// Lookup finds the one key that a token with this header may be signed with: the
// key of that ID, or without an ID the only key of that algorithm. A lone key
// without an ID of its own (PEM, secret) answers to any, and so do several of them
// (a secret for several algorithms). There is never a second one to try.
//
// ErrUnknownKey means that there is none, ErrAlgorithm that it has another
// algorithm.
func (s *Set) Lookup(kid string, alg Algorithm) (*Key, error) {
	key := s.byID[kid]
	switch {
	case key != nil:
	case len(s.keys) == 1 && (kid == "" || s.keys[0].id == ""):
		key = s.keys[0]
	case kid == "" || len(s.byID) == 0:
		return s.only(alg)
	default:
		return nil, ErrUnknownKey
	}
	if key.algorithm != alg {
		return nil, ErrAlgorithm
	}
	return key, nil
}

func (s *Set) only(alg Algorithm) (*Key, error) {
	var found *Key
	for _, key := range s.keys {
		if key.algorithm != alg {
			continue
		}
		if found != nil {
			return nil, ErrUnknownKey
		}
		found = key
	}
	if found == nil {
		return nil, ErrUnknownKey
	}
	return found, nil
}

package jose

// A KeyPolicy says which keys are accepted. The zero value accepts the
// asymmetric ones.
type KeyPolicy struct {
	// Algorithms are those that keys may have; nil: all asymmetric ones, and
	// with Symmetric the HMAC ones, too.
	Algorithms []Algorithm
	// Symmetric accepts "oct" keys, for files and secrets of this machine. A set
	// of both kinds is refused.
	Symmetric bool
}

// Skipped is a key of a set that is not used, and why.
type Skipped struct {
	// Index is the place of the key in the set, from 0.
	Index int
	// KeyID is its "kid", if it has one that can be read.
	KeyID string
	// Err wraps one of the errors of keys.
	Err error
}

// A Set is keys to choose from. It never changes.
type Set struct{ keys []*Key }

// ParseSet reads a JWK set from outside.
func ParseSet(data []byte, p KeyPolicy) (*Set, []Skipped, error) { return nil, nil, ErrKeySet }

// ParseKeys reads what an operator's file holds.
func ParseKeys(data []byte, p KeyPolicy) (*Set, []Skipped, error) { return nil, nil, ErrKey }

// NewSet returns a set of these keys.
func NewSet(keys ...*Key) (*Set, error) { return &Set{keys: keys}, nil }

// Len returns how many keys there are.
func (s *Set) Len() int { return len(s.keys) }

// Keys returns all keys. The slice is a copy.
func (s *Set) Keys() []*Key { return append([]*Key(nil), s.keys...) }

// Lookup finds the one key for a token's header.
func (s *Set) Lookup(kid string, alg Algorithm) (*Key, error) { return nil, ErrUnknownKey }

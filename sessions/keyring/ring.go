package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"authsidecar/sessions/jose"
)

// Types of the tokens that we mint (header "typ"). No resource server accepts a refresh
// token: its type, its audience and its key are its own.
const (
	RefreshTokenType = "rt+jwt"
	AccessTokenType  = "at+jwt" // RFC 9068 section 2.1
)

var (
	// ErrNoKey means that there is no key: to sign now, or by that id.
	ErrNoKey = errors.New("no signing key")
	// ErrIncomplete is an ErrNoKey of a ring that may lack keys which another node made
	// since the keys were loaded last: the token may be good, and is not to be thrown away.
	ErrIncomplete = fmt.Errorf("%w: another node may have made the key since the keys were loaded last", ErrNoKey)
)

// A Keyring holds the keys that sign tokens, by type of token.
type Keyring struct {
	Refresh *Ring
	Access  *Ring
}

// New returns a keyring without keys.
func New() *Keyring {
	return &Keyring{Refresh: NewRing(RefreshTokenType), Access: NewRing(AccessTokenType)}
}

// A Ring is the signing keys of one type of token: the one that signs, those that did
// and still verify, and the one that will. It is safe for concurrent use; Set replaces
// all keys at once.
type Ring struct {
	// Now is the clock that CompleteUntil is compared with. Default: time.Now.
	Now func() time.Time

	typ      string
	keys     atomic.Pointer[[]SigningKey]
	version  atomic.Uint64
	complete atomic.Pointer[time.Time]
}

// NewRing returns a ring without keys for tokens of that type (header "typ").
func NewRing(typ string) *Ring {
	r := &Ring{typ: typ}
	r.keys.Store(new([]SigningKey))
	return r
}

// Set replaces all keys. The records are in the order of From.
func (r *Ring) Set(records []Record) error {
	if slices.EqualFunc(*r.keys.Load(), records, func(have SigningKey, want Record) bool {
		return have.ID() == want.Key.ID() && have.From.Equal(want.From)
	}) {
		return nil
	}
	keys := make([]SigningKey, len(records))
	for i, record := range records {
		header, err := headerOf(record.Key, r.typ)
		if err != nil {
			return err
		}
		keys[i] = SigningKey{From: record.From, private: record.Key, public: record.Key.Public(), header: header}
	}
	r.keys.Store(&keys)
	r.version.Add(1)
	return nil
}

// CompleteUntil says that until t the ring has every key that signs on any node: keys
// that were loaded at some time are complete for a Schedule's Publish from then on.
// Later, an unknown key may be one that another node made, and Find and Key return
// ErrIncomplete. A ring for which it is never called is always complete.
func (r *Ring) CompleteUntil(t time.Time) { r.complete.Store(&t) }

// missing returns the error for an id that the ring does not have.
func (r *Ring) missing() error {
	until := r.complete.Load()
	if until == nil {
		return ErrNoKey
	}
	now := r.Now
	if now == nil {
		now = time.Now //nolint:forbidigo // the default of the clock
	}
	if now().Before(*until) {
		return ErrNoKey
	}
	return ErrIncomplete
}

// Signing returns the key that signs at now, or ErrNoKey where the ring is empty. Before
// the time of the first key it is the first, since the clocks of nodes differ.
func (r *Ring) Signing(now time.Time) (*SigningKey, error) {
	keys := *r.keys.Load()
	if len(keys) == 0 {
		return nil, ErrNoKey
	}
	return &keys[signingAt(keys, now)], nil
}

// signingAt returns the index of the key that signs at now.
func signingAt(keys []SigningKey, now time.Time) int {
	for i := len(keys) - 1; i > 0; i-- {
		if !keys[i].From.After(now) {
			return i
		}
	}
	return 0
}

// Find returns the key of that id, or ErrNoKey, which is ErrIncomplete where another
// node may have the key.
func (r *Ring) Find(id string) (*SigningKey, error) {
	keys := *r.keys.Load()
	for i := range keys {
		if keys[i].ID() == id {
			return &keys[i], nil
		}
	}
	return nil, r.missing()
}

// Key returns the public half of a key by the "kid" and "alg" of a token's header, for
// verifiers. The errors are jose.ErrUnknownKey, jose.ErrAlgorithm and ErrIncomplete.
func (r *Ring) Key(_ context.Context, id string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := r.Find(id)
	switch {
	case errors.Is(err, ErrIncomplete):
		return nil, err
	case err != nil:
		return nil, jose.ErrUnknownKey
	}
	if key.public.Algorithm() != alg {
		return nil, jose.ErrAlgorithm
	}
	return key.public, nil
}

// Public returns the public halves of all keys, including those that will sign:
// verifiers need them before that.
func (r *Ring) Public() []*jose.Key {
	keys := *r.keys.Load()
	public := make([]*jose.Key, len(keys))
	for i := range keys {
		public[i] = keys[i].public
	}
	return public
}

// Version returns a number that changes with the keys.
func (r *Ring) Version() uint64 { return r.version.Load() }

// A SigningKey is a key of a Ring.
type SigningKey struct {
	// From is when the key begins to sign.
	From    time.Time
	private *jose.PrivateKey
	public  *jose.Key
	header  []byte
}

// ID returns the key's RFC 7638 thumbprint, the "kid" of what it signs.
func (k *SigningKey) ID() string { return k.private.ID() }

// Public returns the public half, which verifies what the key signs.
func (k *SigningKey) Public() *jose.Key { return k.public }

// Verify reads the claims of a token, strictly, into what a pointer points to, if this key signed
// it. The errors are those of jose.Token.Verify.
func (k *SigningKey) Verify(t *jose.Token, into any) error { return t.VerifyOwn(k.private, into) }

// Sign returns a token of the ring's type with these claims, which are a JSON object.
func (k *SigningKey) Sign(claims []byte) (string, error) { return k.sign(k.header, claims) }

// SignAs is Sign for a token of another type (header "typ") than the ring's.
func (k *SigningKey) SignAs(typ string, claims []byte) (string, error) {
	header, err := headerOf(k.private, typ)
	if err != nil {
		return "", err
	}
	return k.sign(header, claims)
}

func (k *SigningKey) sign(header, claims []byte) (string, error) {
	token, err := k.private.Sign(header, claims)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return token, nil
}

// headerOf returns the header of tokens that the key signs.
func headerOf(key *jose.PrivateKey, typ string) ([]byte, error) {
	header, err := json.Marshal(struct {
		Alg  string `json:"alg"`
		Kid  string `json:"kid"`
		Type string `json:"typ"`
	}{string(key.Algorithm()), key.ID(), typ})
	if err != nil {
		return nil, fmt.Errorf("serialising token header: %w", err)
	}
	return header, nil
}

package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"authsidecar/sessions/jose"
)

// Types ("typ" headers) of the tokens that we mint. No resource server accepts a refresh token: it
// has its own type, audience and key.
const (
	RefreshTokenType = "rt+jwt"
	AccessTokenType  = "at+jwt" // RFC 9068 section 2.1
)

var (
	// ErrNoKey means that there is no key to sign with, or none with that id.
	ErrNoKey = errors.New("no signing key")
	// ErrIncomplete is an ErrNoKey of a ring that may lack keys that another node created since
	// they were last loaded: the token may be valid, so the client must not discard it.
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

// A Ring holds the signing keys of one type of token: the current one, earlier ones that still
// verify, and the next one. It is safe for concurrent use; Set replaces all keys at once.
type Ring struct {
	// Now is the clock that CompleteUntil is compared with. Default: time.Now.
	Now func() time.Time

	typ      string
	keys     atomic.Pointer[[]SigningKey]
	version  atomic.Uint64
	complete atomic.Pointer[time.Time]
}

// NewRing returns a ring without keys for tokens with that type ("typ" header).
func NewRing(typ string) *Ring {
	r := &Ring{typ: typ}
	r.keys.Store(new([]SigningKey))
	return r
}

// Set replaces all keys. The records must be ordered by From.
func (r *Ring) Set(records []Record) error {
	if slices.EqualFunc(*r.keys.Load(), records, func(have SigningKey, want Record) bool {
		return have.ID() == want.Key.ID() && have.From.Equal(want.From)
	}) {
		return nil
	}
	keys := make([]SigningKey, len(records))
	for i, record := range records {
		header, err := record.Key.Header(r.typ)
		if err != nil {
			return fmt.Errorf("serialising token header: %w", err)
		}
		keys[i] = SigningKey{From: record.From, private: record.Key, header: header}
	}
	r.keys.Store(&keys)
	r.version.Add(1)
	return nil
}

// CompleteUntil sets until when the ring has every key that signs on any node: keys are complete
// for a Schedule's Publish after they were loaded. After that, an unknown key may have been created
// by another node, and Find and Key return ErrIncomplete. A ring on which it is never called is
// always complete.
func (r *Ring) CompleteUntil(t time.Time) { r.complete.Store(&t) }

// missingError returns the error for an id that is not in the ring.
func (r *Ring) missingError() error {
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

// Signing returns the key that signs at now, or ErrNoKey if the ring is empty. Before the From of
// the first key it returns the first, since the clocks of nodes differ.
func (r *Ring) Signing(now time.Time) (*SigningKey, error) {
	keys := *r.keys.Load()
	if len(keys) == 0 {
		return nil, ErrNoKey
	}
	return &keys[signingIndex(keys, now)], nil
}

// signingIndex returns the index of the key that signs at now.
func signingIndex(keys []SigningKey, now time.Time) int {
	for i := len(keys) - 1; i > 0; i-- {
		if !keys[i].From.After(now) {
			return i
		}
	}
	return 0
}

// Find returns the key with that id, or ErrNoKey, which is ErrIncomplete if another node may have
// the key.
func (r *Ring) Find(id string) (*SigningKey, error) {
	keys := *r.keys.Load()
	for i := range keys {
		if keys[i].ID() == id {
			return &keys[i], nil
		}
	}
	return nil, r.missingError()
}

// Key returns the public key for the "kid" and "alg" of a token's header. The errors are
// jose.ErrUnknownKey, jose.ErrAlgorithm and ErrIncomplete.
func (r *Ring) Key(_ context.Context, id string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := r.Find(id)
	switch {
	case errors.Is(err, ErrIncomplete):
		return nil, err
	case err != nil:
		return nil, jose.ErrUnknownKey
	}
	if key.Public().Algorithm() != alg {
		return nil, jose.ErrAlgorithm
	}
	return key.Public(), nil
}

// Public returns the public keys of all keys, including those that do not sign yet: verifiers need
// them in advance.
func (r *Ring) Public() []*jose.Key {
	keys := *r.keys.Load()
	public := make([]*jose.Key, len(keys))
	for i := range keys {
		public[i] = keys[i].Public()
	}
	return public
}

// Version returns a number that changes when the keys change.
func (r *Ring) Version() uint64 { return r.version.Load() }

// A SigningKey is a key of a Ring.
type SigningKey struct {
	// From is when the key begins to sign.
	From    time.Time
	private *jose.PrivateKey
	header  []byte
}

// ID returns the key's RFC 7638 thumbprint, which is the "kid" of the tokens that it signs.
func (k *SigningKey) ID() string { return k.private.ID() }

// Public returns the public key, which verifies what the key signs.
func (k *SigningKey) Public() *jose.Key { return k.private.Public() }

// Verify checks that this key signed a token, and decodes the claims strictly into the value that
// into points to. The errors are those of jose.Token.Verify.
func (k *SigningKey) Verify(t *jose.Token, into any) error { return t.VerifyOwn(k.private, into) }

// Sign returns a token of the ring's type with these claims, which must be a JSON object.
func (k *SigningKey) Sign(claims []byte) (string, error) { return k.sign(k.header, claims) }

// SignAs is Sign with another type ("typ" header) than the ring's.
func (k *SigningKey) SignAs(typ string, claims []byte) (string, error) {
	header, err := k.private.Header(typ)
	if err != nil {
		return "", fmt.Errorf("serialising token header: %w", err)
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

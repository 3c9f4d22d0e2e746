package sessions

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

// ErrNoKey means that no key is there for what was asked: to sign now, or by
// that id.
var ErrNoKey = errors.New("no signing key")

// errMissed is for a key that another node may have made.
var errMissed = fmt.Errorf("%w: %w: the key may be one that another node made since the keys were read last", ErrUnavailable, ErrNoKey)

// A Keyring holds the keys that we sign with: each kind of token has its own,
// so that none passes for another.
type Keyring struct {
	Refresh *Ring
	Access  *Ring
}

// NewKeyring returns a keyring without keys.
func NewKeyring() *Keyring {
	return &Keyring{Refresh: NewRing(RefreshTokenType), Access: NewRing(AccessTokenType)}
}

// A KeyRecord is a signing key and from when on it signs, until the From of the
// next one.
type KeyRecord struct {
	From time.Time
	Key  *jose.PrivateKey
}

// A Ring is the signing keys of one kind of token: the one that signs, those
// that did and still verify, and the one that will. It is safe for concurrent
// use; Set swaps all keys at once.
type Ring struct {
	// Now is the clock that CompleteUntil goes by; nil is time.Now.
	Now func() time.Time

	typ      string
	keys     atomic.Pointer[[]SigningKey]
	version  atomic.Uint64
	complete atomic.Pointer[time.Time]
}

// A SigningKey is a key of a Ring.
type SigningKey struct {
	From    time.Time
	private *jose.PrivateKey
	public  *jose.Key
	header  []byte
}

// ID returns the key's RFC 7638 thumbprint, the "kid" of what it signs.
func (k *SigningKey) ID() string { return k.private.ID() }

// NewRing returns a ring without keys for tokens of that type (header "typ").
func NewRing(typ string) *Ring {
	r := &Ring{typ: typ}
	r.keys.Store(new([]SigningKey))
	return r
}

// Set replaces all keys. The records are in the order of From.
func (r *Ring) Set(records []KeyRecord) error {
	if slices.EqualFunc(*r.keys.Load(), records, func(have SigningKey, want KeyRecord) bool {
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

// CompleteUntil says that until t the ring has each key that signs anywhere, however
// many nodes make keys: whoever was told the keys at some time has all that sign for
// a Schedule's Publish from then on. Later, nobody can tell whose an unknown key is.
// Where it is not called, the ring is complete for ever.
func (r *Ring) CompleteUntil(t time.Time) { r.complete.Store(&t) }

// missing returns why there is no such key.
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
	return errMissed
}

// Signing returns the key that signs at now, or ErrNoKey where there is none at
// all. Before the first one's time it is the first: clocks of nodes differ.
func (r *Ring) Signing(now time.Time) (*SigningKey, error) {
	keys := *r.keys.Load()
	for i := len(keys) - 1; i >= 0; i-- {
		if !keys[i].From.After(now) {
			return &keys[i], nil
		}
	}
	if len(keys) > 0 {
		return &keys[0], nil
	}
	return nil, ErrNoKey
}

// Find returns the key of that id, or ErrNoKey. Where the ring may not be complete,
// so that the key may be another node's, the error wraps ErrUnavailable too.
func (r *Ring) Find(id string) (*SigningKey, error) {
	keys := *r.keys.Load()
	for i := range keys {
		if keys[i].ID() == id {
			return &keys[i], nil
		}
	}
	return nil, r.missing()
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

// Key finds the public half of a key by the id and algorithm of a token's header,
// as a verifier asks for it. The errors are those of jose, or wrap ErrUnavailable
// where nobody can tell.
func (r *Ring) Key(_ context.Context, id string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := r.Find(id)
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, jose.ErrUnknownKey
	}
	if key.public.Algorithm() != alg {
		return nil, jose.ErrAlgorithm
	}
	return key.public, nil
}

// Public returns the public halves of all keys: of those that will sign, too,
// since whoever verifies must have them before.
func (r *Ring) Public() []*jose.Key {
	keys := *r.keys.Load()
	public := make([]*jose.Key, len(keys))
	for i := range keys {
		public[i] = keys[i].public
	}
	return public
}

// Version changes with the keys.
func (r *Ring) Version() uint64 { return r.version.Load() }

// A Schedule says when signing keys change.
type Schedule struct {
	// Algorithm is what new keys are for.
	Algorithm jose.Algorithm
	// Rotate is how long a key signs; 0 for ever.
	Rotate time.Duration
	// Publish is how long a key is shown before it signs: as long as others
	// remember our key set, and as our own nodes take to see it, together.
	Publish time.Duration
	// Keep is how long a key verifies after it signed last: the longest life of
	// a token.
	Keep time.Duration
}

// Plan returns the records that should be kept at now, and whether these are
// others than the given ones: a new key where none is or the last is due, and
// none that can have no living token.
func (s *Schedule) Plan(records []KeyRecord, now time.Time) (planned []KeyRecord, changed bool, err error) {
	planned = s.prune(records, now)
	from, due := s.Due(planned, now)
	if !due {
		return planned, len(planned) != len(records), nil
	}
	planned, err = s.add(planned, from)
	return planned, true, err
}

// renewOnce is for how long after a key was made there is no need of another.
const renewOnce = time.Minute

// Renew is Plan for whoever does not want to wait until a key is due: there is a new
// one, which signs from Publish on, also where one is waiting already that somebody
// may know. One that was made within the last minute is new enough, so that it makes
// no difference who asks twice.
func (s *Schedule) Renew(records []KeyRecord, now time.Time) (planned []KeyRecord, changed bool, err error) {
	planned = s.prune(records, now)
	from := now
	if len(planned) > 0 {
		last := planned[len(planned)-1]
		if from = now.Add(s.Publish); last.From.After(from) { // a clock went back
			from = last.From
		}
		if last.Key.Algorithm() == s.Algorithm && from.Sub(last.From) < min(renewOnce, s.Publish) {
			return planned, len(planned) != len(records), nil
		}
	}
	planned, err = s.add(planned, from)
	return planned, true, err
}

func (s *Schedule) add(records []KeyRecord, from time.Time) ([]KeyRecord, error) {
	key, err := jose.Generate(s.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("generating signing key: %w", err)
	}
	return append(records, KeyRecord{From: from.UTC().Truncate(time.Millisecond), Key: key}), nil
}

// Due tells whether a key has to be added, and from when it would sign.
func (s *Schedule) Due(records []KeyRecord, now time.Time) (from time.Time, due bool) {
	if len(records) == 0 {
		return now, true
	}
	last := records[len(records)-1]
	if last.From.After(now) {
		return time.Time{}, false // the next key is waiting already
	}
	soonest := now.Add(s.Publish)
	if last.Key.Algorithm() != s.Algorithm {
		return soonest, true
	}
	if s.Rotate <= 0 {
		return time.Time{}, false
	}
	ends := last.From.Add(s.Rotate)
	if ends.After(soonest) {
		return time.Time{}, false
	}
	return soonest, true
}

func (s *Schedule) prune(records []KeyRecord, now time.Time) []KeyRecord {
	kept := make([]KeyRecord, 0, len(records)+1)
	for i, record := range records {
		if i+1 < len(records) && records[i+1].From.Add(s.Keep).Before(now) {
			continue
		}
		kept = append(kept, record)
	}
	return kept
}

type storedKeys struct {
	Format int         `json:"v"`
	Keys   []storedKey `json:"keys"`
}

type storedKey struct {
	From int64           `json:"from"`
	JWK  json.RawMessage `json:"jwk"`
}

// EncodeKeys serialises records for a storage that keeps secrets: what it gives
// holds private keys.
func EncodeKeys(records []KeyRecord) ([]byte, error) {
	stored := storedKeys{Format: 1, Keys: make([]storedKey, len(records))}
	for i, record := range records {
		jwk, err := record.Key.JWK()
		if err != nil {
			return nil, fmt.Errorf("serialising signing key: %w", err)
		}
		stored.Keys[i] = storedKey{From: record.From.UnixMilli(), JWK: jwk}
	}
	return json.Marshal(stored)
}

// DecodeKeys reads what EncodeKeys gave. Its errors hold nothing of the data.
func DecodeKeys(data []byte) ([]KeyRecord, error) {
	var stored storedKeys
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, errors.New("signing keys are not JSON")
	}
	if stored.Format != 1 {
		return nil, fmt.Errorf("signing keys have format %d, which this release does not know", stored.Format)
	}
	if len(stored.Keys) == 0 {
		return nil, errors.New("signing keys are missing") // none is never stored: they were lost
	}
	records := make([]KeyRecord, len(stored.Keys))
	for i, k := range stored.Keys {
		key, err := jose.ParsePrivate(k.JWK, "")
		if err != nil {
			return nil, fmt.Errorf("reading signing key %d: %w", i+1, err)
		}
		records[i] = KeyRecord{From: fromMillis(k.From), Key: key}
		if i > 0 && records[i].From.Before(records[i-1].From) {
			return nil, errors.New("signing keys are out of order")
		}
	}
	return records, nil
}

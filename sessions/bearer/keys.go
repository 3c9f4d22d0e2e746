package bearer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

// maxKeyData is the maximum size of keys from a file, a server or a Memory, in bytes.
const maxKeyData = 1 << 20

var errNoKeys = errors.New("no usable key in it")

// Static is a fixed set of keys, for secrets and tests.
type Static struct{ set *jose.Set }

// NewStatic returns a source of these keys: at least one, and not both symmetric and asymmetric
// keys (RFC 8725 section 2.1).
func NewStatic(keys ...*jose.Key) (*Static, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key")
	}
	set, err := jose.NewSet(keys...)
	if err != nil {
		return nil, err
	}
	return &Static{set: set}, nil
}

// Key returns a key of the set.
func (s *Static) Key(_ context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	return s.set.Lookup(kid, alg)
}

// Symmetric reports whether the keys are HMAC keys.
func (s *Static) Symmetric() bool { return s.set.Keys()[0].Algorithm().Symmetric() }

// Version never changes.
func (s *Static) Version() uint64 { return 1 }

// A snapshot is a set of keys and when it was fetched. nil has no keys.
type snapshot struct {
	set         *jose.Set
	fingerprint string
	version     uint64
	at          time.Time
}

func (s *snapshot) keys() []*jose.Key {
	if s == nil {
		return nil
	}
	return s.set.Keys()
}

// lookup is jose.Set.Lookup, or ErrKeysUnavailable.
func (s *snapshot) lookup(kid string, alg jose.Algorithm) (*jose.Key, error) {
	if s == nil {
		return nil, ErrKeysUnavailable
	}
	return s.set.Lookup(kid, alg)
}

// number returns the version, which is 0 without keys.
func (s *snapshot) number() uint64 {
	if s == nil {
		return 0
	}
	return s.version
}

// lastGood holds the last usable set of keys.
type lastGood struct {
	mu      sync.Mutex // of writers
	current atomic.Pointer[snapshot]
}

// install makes set the current one. The version changes only if the keys did, and that is logged.
func (l *lastGood) install(ctx context.Context, log *slog.Logger, set *jose.Set, skipped []jose.Skipped, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, print := l.current.Load(), fingerprintOf(set)
	if old != nil && old.fingerprint == print {
		l.current.Store(&snapshot{old.set, print, old.version, at})
		return
	}
	l.current.Store(&snapshot{set, print, old.number() + 1, at})
	logChange(ctx, log, l.current.Load(), skipped)
}

// unusableKeysError returns why no parsed key can be used, or nil.
func unusableKeysError(set *jose.Set, skipped []jose.Skipped, err error) error {
	switch {
	case err == nil && set.Len() > 0:
		return nil
	case err == nil:
		var reasons []error
		for _, s := range skipped {
			reasons = append(reasons, fmt.Errorf("key %d: %w", s.Index, s.Err))
		}
		if err = errNoKeys; len(reasons) > 0 {
			err = fmt.Errorf("%w: %w", errNoKeys, errors.Join(reasons...))
		}
	}
	return fmt.Errorf("parsing keys: %w", err)
}

// readAll reads at most maxKeyData bytes of keys.
func readAll(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxKeyData+1))
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	if len(data) > maxKeyData {
		return nil, errTooMuch
	}
	return data, nil
}

// fingerprintOf returns a fingerprint of a set of keys that does not depend on their order.
func fingerprintOf(set *jose.Set) string {
	prints := make([]string, 0, set.Len())
	for _, key := range set.Keys() {
		prints = append(prints, strings.Join([]string{key.Thumbprint(), string(key.Algorithm()), key.ID()}, " "))
	}
	slices.Sort(prints)
	return strings.Join(prints, "\n")
}

// key returns the key with which the token must be signed.
func (s *source) key(ctx context.Context, parsed *jose.Token) (*jose.Key, error) {
	alg, keys := jose.Algorithm(parsed.Header.Algorithm), s.Keys
	if s.Secret != nil && alg.Symmetric() {
		keys = s.Secret
	}
	key, err := keys.Key(ctx, parsed.Header.KeyID, alg)
	switch {
	case err == nil && !s.has(key):
		return nil, refusalOf(jose.ErrUnknownKey, ReasonUnknownKey)
	case err == nil:
		return key, nil
	case errors.Is(err, jose.ErrUnknownKey), errors.Is(err, jose.ErrAlgorithm):
		return nil, refusalOf(err, ReasonUnknownKey)
	case errors.Is(err, ErrKeysUnavailable):
		return nil, fmt.Errorf("finding key: %w", err)
	default: // any other error of a source
		return nil, fmt.Errorf("finding key: %w: %w", ErrKeysUnavailable, err)
	}
}

// Status is the state of a key source, for people to read. It contains no key.
type Status struct {
	Issuer string      `json:"issuer,omitempty"`
	Source string      `json:"source"` // URL, or path of a file
	Keys   []KeyStatus `json:"keys"`
	// FetchedAt is when the keys were last fetched; zero for never.
	FetchedAt time.Time `json:"fetched_at,omitzero"`
	// UsableUntil is when the keys stop being used unless they are fetched again; zero for never.
	UsableUntil time.Time `json:"usable_until,omitzero"`
	// RefreshAt is when the keys will next be fetched; zero if nothing fetches them.
	RefreshAt time.Time `json:"refresh_at,omitzero"`
	// Error is the error of the last fetch.
	Error string `json:"error,omitempty"`
}

// KeyStatus describes a key with the names that its owner gave it.
type KeyStatus struct {
	ID        string         `json:"kid"`
	Algorithm jose.Algorithm `json:"alg"`
}

func (s *snapshot) status() []KeyStatus {
	if s == nil {
		return []KeyStatus{}
	}
	keys := make([]KeyStatus, 0, s.set.Len())
	for _, key := range s.set.Keys() {
		keys = append(keys, KeyStatus{cmp.Or(key.ID(), key.Thumbprint()), key.Algorithm()})
	}
	return keys
}

// logChange logs a new set of keys, and warns about keys that were skipped.
func logChange(ctx context.Context, log *slog.Logger, now *snapshot, skipped []jose.Skipped) {
	ids := make([]string, 0, now.set.Len())
	for _, key := range now.status() {
		ids = append(ids, key.ID)
	}
	log.InfoContext(ctx, "keys changed", slog.Any("kids", slices.Compact(ids))) // one key per algorithm
	for _, s := range skipped {
		log.WarnContext(ctx, "key left out", slog.Int("index", s.Index), slog.String("kid", s.KeyID), slog.Any("error", s.Err))
	}
}

// logger returns log, or a logger that discards everything.
func logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// Interface guards
var (
	_ KeySource = (*Static)(nil)
	_ KeySource = (*File)(nil)
	_ KeySource = (*Remote)(nil)
	_ KeySource = (*keyring.Ring)(nil)
)

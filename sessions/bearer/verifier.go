package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A Verifier verifies bearer tokens and remembers the good ones. It is safe for
// concurrent use.
type Verifier struct {
	issuers  map[string]*issuer // by all of their names
	patterns []pattern          // and where one is open
	headers  []string           // where tokens are, beside Authorization
	cache    *lru.Cache[digest, *verified]
	observer sessions.Observer

	hits, misses, checks atomic.Uint64
}

// A digest is the SHA-256 of a token: what the cache knows it by.
type digest [sha256.Size]byte

// verified is a good token, as long as its issuer's keys are those of version,
// and until its end.
type verified struct {
	caller  *sessions.Caller
	issuer  *issuer
	version uint64
	end     time.Time // exp, or the age of an ID token, and leeway
}

// Stats counts what a Verifier did since it was made.
type Stats struct {
	// Hits and Misses of the verified-token cache.
	Hits, Misses uint64
	// Checks is how many signatures were checked.
	Checks uint64
}

// Stats returns the counters.
func (v *Verifier) Stats() Stats {
	return Stats{Hits: v.hits.Load(), Misses: v.misses.Load(), Checks: v.checks.Load()}
}

// Verify returns who is calling with the token. The error is a *Refusal, or wraps
// ErrKeysUnavailable. The caller is shared by all who present the token: never
// changed.
func (v *Verifier) Verify(ctx context.Context, token string) (*sessions.Caller, error) {
	return v.verify(ctx, token, expected{})
}

// VerifyFound is Verify for what Find found: a token of a header of its own is good
// where its issuer has its tokens there, and no other's is.
func (v *Verifier) VerifyFound(ctx context.Context, c Credential) (*sessions.Caller, error) {
	return v.verify(ctx, c.Token, expected{header: c.Header})
}

// VerifyOwn is Verify for our own access tokens. All others are refused as those of an
// unknown issuer: nobody is asked for keys to find out more.
func (v *Verifier) VerifyOwn(ctx context.Context, token string) (*sessions.Caller, error) {
	return v.verify(ctx, token, expected{own: true})
}

// expected is whose tokens are expected.
type expected struct {
	own    bool   // ours
	header string // those of issuers that have theirs in this header; "" for any
}

func (e expected) is(i *issuer) bool {
	return (i.Own || !e.own) && (e.header == "" || i.Header == e.header)
}

func (v *Verifier) verify(ctx context.Context, token string, of expected) (*sessions.Caller, error) {
	if len(token) > jose.MaxTokenSize {
		return nil, v.attributed(&Refusal{Reason: ReasonTooLarge, err: jose.ErrTooLarge}, token)
	}
	id := digest(sha256.Sum256([]byte(token)))
	if known, ok := v.cache.Get(id); ok && of.is(known.issuer) {
		if known.issuer.Now().Before(known.end) && known.issuer.Keys.Version() == known.version {
			v.hits.Add(1)
			v.observer.Verified(ctx, known.caller, true)
			return known.caller, nil
		}
		v.cache.Remove(id)
	}
	v.misses.Add(1)
	fresh, err := v.check(ctx, token, of)
	if err != nil {
		v.observer.Verified(ctx, nil, false)
		return nil, err
	}
	v.observer.Verified(ctx, fresh.caller, false)
	return v.remember(id, fresh).caller, nil
}

// remember caches a good token, and returns what all who present it at once share.
func (v *Verifier) remember(id digest, fresh *verified) *verified {
	known, found, _ := v.cache.PeekOrAdd(id, fresh)
	switch {
	case !found:
		return fresh
	case known.issuer == fresh.issuer && known.version == fresh.version:
		return known
	default: // of keys that are no more
		v.cache.Add(id, fresh)
		return fresh
	}
}

func (v *Verifier) check(ctx context.Context, token string, of expected) (*verified, error) {
	parsed, err := jose.Parse(token)
	if err != nil {
		return nil, v.attributed(refusalOf(err, ReasonForm), token)
	}
	from, err := v.sourceOf(parsed)
	if err != nil {
		return nil, err
	}
	if !of.is(from.issuer) {
		return nil, &Refusal{Reason: ReasonUnknownIssuer, Issuer: from.Name}
	}
	fresh, err := v.checkAs(ctx, parsed, &from)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		refusal.Issuer = from.Name
	}
	return fresh, err
}

// checkAs checks a token by the keys and the configuration of the issuer.
func (v *Verifier) checkAs(ctx context.Context, parsed *jose.Token, from *source) (*verified, error) {
	// The version is read before the key: keys that change in between make the
	// token be verified again, not remembered for too long.
	version := from.Keys.Version()
	key, err := from.key(ctx, parsed)
	if err != nil {
		return nil, err
	}
	v.checks.Add(1)
	if err := parsed.Verify(key, nil); err != nil {
		return nil, refusalOf(err, ReasonSignature)
	}
	claims, err := parsed.Unverified() // and verified by now
	if err != nil {
		return nil, refusalOf(err, ReasonClaims)
	}
	caller, until, err := from.check(parsed.Header.Type, claims, from.Now())
	if err != nil {
		return nil, err
	}
	return &verified{caller: caller, issuer: from.issuer, version: version, end: until}, nil
}

// key finds the one key that the token may be signed with.
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
	default: // whatever a source says, without a key it is unknown
		return nil, fmt.Errorf("finding key: %w: %w", ErrKeysUnavailable, err)
	}
}

// sourceOf finds the trusted issuer that the token claims to be from, to try
// its keys and no others.
func (v *Verifier) sourceOf(parsed *jose.Token) (source, error) {
	claims, err := parsed.Unverified()
	if err != nil {
		return source{}, &Refusal{Reason: ReasonClaims, err: jose.ErrClaims}
	}
	iss, has := claims["iss"]
	if !has {
		return source{}, refuse(ReasonUnknownIssuer)
	}
	name, ok := iss.(string)
	if !ok {
		return source{}, refuse(ReasonClaims)
	}
	if from, ok := v.source(name); ok {
		return from, nil
	}
	return source{}, &Refusal{Reason: ReasonUnknownIssuer, Claimed: name}
}

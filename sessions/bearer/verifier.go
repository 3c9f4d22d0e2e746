package bearer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A Verifier verifies bearer tokens and caches valid ones. It is safe for concurrent use.
type Verifier struct {
	issuers  map[string]*issuer // by each of their names
	all      []*issuer
	patterns []pattern // names with an open tenant
	headers  []string  // headers that carry tokens, beside Authorization
	cache    *cache
	observer sessions.Observer
	turns    chan struct{} // one for each concurrent signature check

	hits, misses, checks atomic.Uint64
}

// Stats are counters of a Verifier since it was created.
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

// Verify returns the caller of the token. The error is a *Refusal, or wraps ErrKeysUnavailable. The
// caller is shared by all requests with the token, and must not be modified.
func (v *Verifier) Verify(ctx context.Context, token string) (*sessions.Caller, error) {
	return v.verify(ctx, token, expected{})
}

// VerifyFound is Verify for a Credential of Find: a token in a header other than Authorization is
// accepted only if its issuer uses that header.
func (v *Verifier) VerifyFound(ctx context.Context, c Credential) (*sessions.Caller, error) {
	return v.verify(ctx, c.Token, expected{header: c.Header})
}

// VerifyOwn is Verify for our own access tokens. All others are refused as tokens of an unknown
// issuer, without fetching any keys.
func (v *Verifier) VerifyOwn(ctx context.Context, token string) (*sessions.Caller, error) {
	return v.verify(ctx, token, expected{own: true})
}

// expected restricts the issuer of a token.
type expected struct {
	own    bool   // ours
	header string // of issuers that use this header; "" for any
}

func (e expected) is(i *issuer) bool {
	return (i.Own || !e.own) && (e.header == "" || i.Header == e.header)
}

func (v *Verifier) verify(ctx context.Context, token string, of expected) (*sessions.Caller, error) {
	holder, err := v.hold(ctx, token, of)
	if err != nil {
		return nil, err
	}
	return holder.Caller(), nil
}

// Holder is VerifyFound, or VerifyOwn if own is set, and lets the user of this package cache a
// value with the token.
func (v *Verifier) Holder(ctx context.Context, c Credential, own bool) (*Holder, error) {
	return v.hold(ctx, c.Token, expected{own, c.Header})
}

func (v *Verifier) hold(ctx context.Context, token string, of expected) (*Holder, error) {
	if len(token) > jose.MaxTokenSize {
		return nil, v.attribute(&Refusal{Reason: ReasonTooLarge, err: jose.ErrTooLarge}, token)
	}
	id := digestOf(token)
	if known := v.recall(&id, token, of); known != nil {
		v.hits.Add(1)
		v.observer.Verified(ctx, known.from(), true)
		return known, nil
	}
	v.misses.Add(1)
	fresh, err := v.check(ctx, token, of)
	if err != nil {
		v.observer.Verified(ctx, "", false)
		return nil, err
	}
	v.observer.Verified(ctx, fresh.from(), false)
	fresh.verifier, fresh.id = v, id
	return &v.cache.add(fresh).Holder, nil
}

// recall returns the holder of a cached token, or nil if it is unknown, unexpected or no longer valid.
func (v *Verifier) recall(id *digest, token string, of expected) *Holder {
	whole, known, space := v.cache.find(id, weight(token))
	if known.id != *id {
		return nil
	}
	from := v.all[known.issuer]
	if !of.is(from) {
		return nil
	}
	if from.Now().UnixMilli() >= known.until || from.Keys.Version() != known.version {
		v.cache.remove(id)
		return nil
	}
	if whole != nil {
		return &whole.Holder
	}
	if known.size > 0 && !space {
		return &Holder{verifier: v, id: *id, issuer: from, token: token, packed: string(known.packed[:known.size])}
	}
	caller := v.read(token)
	if caller == nil {
		return nil
	}
	return &v.cache.add(&verified{
		Holder:  Holder{verifier: v, id: *id, issuer: from, caller: caller},
		version: known.version, end: time.UnixMilli(known.until), weight: weight(token),
	}).Holder
}

// read parses the caller of a token that was verified when it was cached; nil if it cannot be
// parsed.
func (v *Verifier) read(token string) *sessions.Caller {
	claims, err := jose.UnverifiedClaims(token)
	if err != nil {
		return nil
	}
	from, err := v.sourceOf(claims)
	if err != nil {
		return nil
	}
	end, _ := numericDate(claims["exp"])
	caller, _ := from.caller(claims, end)
	return caller
}

// MarkRevoked records that the session of a token has ended: only a mark of the token is kept, and it
// is dropped first.
func (v *Verifier) MarkRevoked(token string) {
	id := digestOf(token)
	v.cache.markRevoked(&id)
}

func (v *Verifier) check(ctx context.Context, token string, of expected) (*verified, error) {
	parsed, err := jose.Parse(token)
	if err != nil {
		return nil, v.attribute(refusalOf(err, ReasonForm), token)
	}
	claims, _ := parsed.Unverified() // nil if they cannot be read
	from, err := v.sourceOf(claims)
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
	if err != nil {
		return nil, err
	}
	fresh.weight = weight(token)
	return fresh, nil
}

// checkAs checks a token with the keys and the configuration of its issuer.
func (v *Verifier) checkAs(ctx context.Context, parsed *jose.Token, from *source) (*verified, error) {
	// Read the version before the key: if the keys change in between, the token is verified again
	// rather than cached for too long.
	version := from.Keys.Version()
	key, err := from.key(ctx, parsed)
	if err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, parsed, key); err != nil {
		return nil, err
	}
	claims, err := parsed.Unverified() // verified by now
	if err != nil {
		return nil, refusalOf(err, ReasonClaims)
	}
	caller, until, err := from.check(parsed.Header.Type, claims, from.Now())
	if err != nil {
		return nil, err
	}
	return &verified{Holder: Holder{caller: caller, issuer: from.issuer}, version: version, end: until}, nil
}

// checkSignature checks a signature when it gets a turn. After a bad signature, that turn stays
// blocked for a while, so that a flood of forged tokens does not take all processors. Cached tokens
// need no turn.
func (v *Verifier) checkSignature(ctx context.Context, parsed *jose.Token, key *jose.Key) error {
	select {
	case v.turns <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting to check signature: %w: %w", ErrKeysUnavailable, ctx.Err())
	}
	v.checks.Add(1)
	began, good := v.cache.now(), false
	defer func() { v.endTurn(began, good) }() // after a panic too, or the turn would be lost
	if err := parsed.Verify(key, nil); err != nil {
		return refusalOf(err, ReasonSignature)
	}
	good = true
	return nil
}

// endTurn gives back the turn of a check that began then, after a pause if the signature was bad.
func (v *Verifier) endTurn(began time.Time, good bool) {
	if good {
		<-v.turns
		return
	}
	rest := min(forgeryRest*v.cache.now().Sub(began), maxForgeryRest) // whatever the clock does
	time.AfterFunc(rest, func() { <-v.turns })
}

// After a bad signature, the turn is blocked for forgeryRest times as long as the check took, and
// at most for maxForgeryRest: a flood of forged tokens takes an eighth of each processor.
const (
	forgeryRest    = 7
	maxForgeryRest = 10 * time.Millisecond
)

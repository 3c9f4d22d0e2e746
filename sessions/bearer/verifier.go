package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A Verifier verifies bearer tokens and remembers the good ones. It is safe for
// concurrent use.
type Verifier struct {
	issuers  map[string]*issuer // by all of their names
	all      []*issuer
	patterns []pattern // and where one is open
	headers  []string  // where tokens are, beside Authorization
	cache    *cache
	observer sessions.Observer
	turns    chan struct{} // one for each signature that may be checked at once

	hits, misses, checks atomic.Uint64
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
	holder, err := v.hold(ctx, token, of)
	if err != nil {
		return nil, err
	}
	return holder.Caller(), nil
}

// Holder is VerifyFound, or VerifyOwn where own is set, for who makes more of the caller.
func (v *Verifier) Holder(ctx context.Context, c Credential, own bool) (*Holder, error) {
	return v.hold(ctx, c.Token, expected{own, c.Header})
}

func (v *Verifier) hold(ctx context.Context, token string, of expected) (*Holder, error) {
	if len(token) > jose.MaxTokenSize {
		return nil, v.attributed(&Refusal{Reason: ReasonTooLarge, err: jose.ErrTooLarge}, token)
	}
	id := digest(sha256.Sum256([]byte(token)))
	if known := v.recall(&id, token, of); known != nil {
		v.hits.Add(1)
		v.observer.Verified(ctx, known.from(), true)
		return &known.Holder, nil
	}
	v.misses.Add(1)
	fresh, err := v.check(ctx, token, of)
	if err != nil {
		v.observer.Verified(ctx, "", false)
		return nil, err
	}
	v.observer.Verified(ctx, fresh.from(), false)
	fresh.verifier, fresh.id = v, id
	return &v.cache.add(&id, fresh).Holder, nil
}

// recall returns what is remembered of a token; nil where that is not whose tokens are expected, or
// no longer good.
func (v *Verifier) recall(id *digest, token string, of expected) *verified {
	known, m, marked, space := v.cache.find(id, weight(token))
	if marked {
		known = &verified{
			Holder:  Holder{verifier: v, id: *id, issuer: v.all[m.issuer], token: token, packed: string(m.packed[:m.size])},
			version: m.version, end: time.UnixMilli(m.until), weight: weight(token),
		}
	}
	if known == nil || !of.is(known.issuer) {
		return nil
	}
	if !known.good() {
		v.cache.remove(id)
		return nil
	}
	if marked && (space || m.size == 0) {
		if known.caller = v.read(token); known.caller == nil {
			return nil
		}
		known.token, known.packed = "", ""
		return v.cache.add(id, known)
	}
	return known
}

// read returns who a token says that calls, which was verified when it was remembered; nil where that
// cannot be read.
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

// Ended says that a token is of a session that has ended: nothing of it is remembered but that it
// is good, and that not for long.
func (v *Verifier) Ended(token string) {
	id := digest(sha256.Sum256([]byte(token)))
	v.cache.end(&id)
}

func (v *Verifier) check(ctx context.Context, token string, of expected) (*verified, error) {
	parsed, err := jose.Parse(token)
	if err != nil {
		return nil, v.attributed(refusalOf(err, ReasonForm), token)
	}
	claims, _ := parsed.Unverified() // nil where they cannot be read
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

// checkAs checks a token by the keys and the configuration of the issuer.
func (v *Verifier) checkAs(ctx context.Context, parsed *jose.Token, from *source) (*verified, error) {
	// The version is read before the key: keys that change in between make the
	// token be verified again, not remembered for too long.
	version := from.Keys.Version()
	key, err := from.key(ctx, parsed)
	if err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, parsed, key); err != nil {
		return nil, err
	}
	claims, err := parsed.Unverified() // and verified by now
	if err != nil {
		return nil, refusalOf(err, ReasonClaims)
	}
	caller, until, err := from.check(parsed.Header.Type, claims, from.Now())
	if err != nil {
		return nil, err
	}
	return &verified{Holder: Holder{caller: caller, issuer: from.issuer}, version: version, end: until}, nil
}

// checkSignature checks a signature, when it is its turn. After one that is bad nobody has that turn
// for some time: who sends tokens that somebody forged, each of which takes a check, is not to have
// the processors to themselves. Tokens that are remembered take no turn.
func (v *Verifier) checkSignature(ctx context.Context, parsed *jose.Token, key *jose.Key) error {
	select {
	case v.turns <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting to check signature: %w: %w", ErrKeysUnavailable, ctx.Err())
	}
	v.checks.Add(1)
	began := v.cache.now()
	err := parsed.Verify(key, nil)
	if err == nil {
		<-v.turns
		return nil
	}
	rest := min(forgeryRest*v.cache.now().Sub(began), maxForgeryRest) // whatever the clock does
	time.AfterFunc(rest, func() { <-v.turns })
	return refusalOf(err, ReasonSignature)
}

// After a bad signature the turn goes on for so many times as long as its check took, and no longer
// than that.
const (
	forgeryRest    = 3
	maxForgeryRest = 10 * time.Millisecond
)

package bearer

import (
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// A Holder is who holds a good token.
type Holder struct {
	// Made is for what somebody makes of the caller, always of one type: it is there again
	// as long as the token is presented so often that all of it is remembered.
	Made atomic.Value

	verifier *Verifier // nil: nothing is remembered
	id       digest
	issuer   *issuer
	caller   *sessions.Caller // nil: the token says who it is
	token    string
	packed   string
}

// NewHolder returns who holds a token that is not remembered.
func NewHolder(c *sessions.Caller) *Holder { return &Holder{caller: c} }

// Caller returns who it is. Shared by all who present the token: never changed. Where little is
// remembered of the token, this reads it.
func (h *Holder) Caller() *sessions.Caller {
	if h.caller == nil { // then this is the Holder of one request
		if h.caller = h.verifier.read(h.token); h.caller == nil {
			h.caller = new(sessions.Caller) // nobody; but what was packed of it was read before
		}
	}
	return h.caller
}

// Packed returns what Pack kept; "" where there is nothing.
func (h *Holder) Packed() string { return h.packed }

// Pack keeps some bytes of what was made of the caller, as Packed, until the token is forgotten:
// where not all of it is remembered, and they are not too many.
func (h *Holder) Pack(bytes []byte) {
	// The mark has one name for an issuer, the one that its configuration has.
	if h.verifier != nil && len(bytes) <= maxPacked && h.Caller().Issuer == h.issuer.Name {
		h.verifier.cache.pack(&h.id, bytes)
	}
}

// from returns the issuer of the token.
func (h *Holder) from() string {
	if h.caller == nil {
		return h.issuer.Name
	}
	return h.caller.Issuer
}

// verified is a good token, as long as its issuer's keys are those of version,
// and until its end.
type verified struct {
	Holder
	version uint64
	end     time.Time // exp, or the age of an ID token, and leeway
	weight  int       // bytes that it takes
	usage
}

// mark returns what is kept of it where there is no space for all.
func (v *verified) mark() mark {
	return mark{version: v.version, until: v.end.UnixMilli(), usage: v.usage, issuer: v.issuer.at}
}

// good reports whether the token is still good.
func (v *verified) good() bool {
	return v.issuer.Now().Before(v.end) && v.issuer.Keys.Version() == v.version
}

// weight estimates what a token takes of which all is remembered, and what is made of it, in bytes.
func weight(token string) int { return 1500 + 4*len(token) }

package bearer

import (
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// A Holder is the holder of a valid token.
type Holder struct {
	// Made is a value that the user of this package derives from the caller, always of one type. It
	// stays available as long as the whole token is cached.
	Made atomic.Value

	verifier *Verifier // nil: nothing is cached
	id       digest
	issuer   *issuer
	caller   *sessions.Caller // nil: to be read from the token
	token    string
	packed   string
}

// NewHolder returns a Holder for a token that is not cached.
func NewHolder(c *sessions.Caller) *Holder { return &Holder{caller: c} }

// Caller returns the caller. It is shared by all requests with the token, and must not be modified.
// If the cache has only a mark of the token, the token is parsed.
func (h *Holder) Caller() *sessions.Caller {
	if h.caller == nil { // then this Holder belongs to one request
		if h.caller = h.verifier.read(h.token); h.caller == nil {
			h.caller = new(sessions.Caller) // empty; but packed bytes were read before
		}
	}
	return h.caller
}

// Packed returns the bytes that Pack stored; "" for none.
func (h *Holder) Packed() string { return h.packed }

// Pack stores a few bytes that were derived from the caller, which Packed returns until the token
// is dropped from the cache. It has no effect if there are too many bytes, or if the whole token is
// cached.
func (h *Holder) Pack(bytes []byte) {
	// A mark identifies its issuer only by the configured name.
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

// verified is a token that is valid until end, as long as its issuer's keys have this version.
type verified struct {
	Holder
	version uint64
	end     time.Time // exp, or the maximum age of an ID token, plus leeway
	weight  int       // memory in bytes
	usage
}

// mark returns the mark to keep if there is no space for the whole token.
func (v *verified) mark() mark {
	return mark{version: v.version, until: v.end.UnixMilli(), usage: v.usage, issuer: v.issuer.at}
}

// good reports whether the token is still valid.
func (v *verified) good() bool {
	return v.issuer.Now().Before(v.end) && v.issuer.Keys.Version() == v.version
}

// weight estimates the memory of a token that is cached whole, with the values derived from it, in
// bytes.
func weight(token string) int { return 1500 + 4*len(token) }

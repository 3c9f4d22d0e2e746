package bearer

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// A Holder is the holder of a valid token.
type Holder struct {
	// Made is a value that the user of this package derives from the caller, always of one type. It
	// stays available as long as the whole token is cached.
	Made atomic.Value

	verifier *Verifier
	id       digest
	issuer   *issuer
	caller   *sessions.Caller // nil: to be read from the token
	token    string
	packed   string
}

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

// Pack stores a few bytes that were derived from the caller, MaxPacked at most. Packed returns them
// as long as there is only a mark of the token. It has no effect if there are too many.
func (h *Holder) Pack(bytes []byte) {
	// A mark identifies its issuer only by the configured name.
	if len(bytes) <= MaxPacked && h.Caller().Issuer == h.issuer.Name {
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
}

// weight estimates the memory of a token that is cached whole, with the values derived from it, in
// bytes.
func weight(token string) int { return 1500 + 4*len(token) }

// A digest is the SHA-256 of a token, and its key in the cache.
type digest [sha256.Size]byte

// digestOf returns the digest of a token. It copies parts of the token, which stay on the stack.
func digestOf(token string) (id digest) {
	h := sha256.New()
	var part [512]byte
	for token != "" {
		n := copy(part[:], token)
		h.Write(part[:n])
		token = token[n:]
	}
	h.Sum(id[:0])
	return id
}

// start returns the key in marks.at.
func (id *digest) start() uint64 { return binary.LittleEndian.Uint64(id[:]) }

// A mark says that a token is valid until a time, as long as its issuer's keys have this version.
// The fields that each request reads fit in one cache line of 64 bytes.
type mark struct {
	id      digest
	version uint64
	until   int64 // milliseconds since 1970
	usage
	whole  uint32 // index in cacheShard.whole plus 1; 0 if the token is not kept whole
	issuer uint16 // index in Verifier.all
	ended  bool   // the session has ended: dropped first
	size   uint8  // of the packed bytes; 0 for none
	packed [MaxPacked]byte
}

// MaxPacked is how many bytes Holder.Pack stores: enough for the holder of one of our sessions if
// each value has about 40 bytes.
const MaxPacked = 192

const _ = uint8(MaxPacked) // mark.size

// markSize is the memory of a mark in bytes, with its share of the table, part of which is empty.
const markSize = 310

// A usage is how often a token was presented, with the last minutes weighted more.
type usage struct {
	last uint32 // second
	uses uint8  // up to then, halved each minute
}

func (u *usage) worth(now uint32) uint8 {
	if now <= u.last {
		return u.uses
	}
	return u.uses >> min((now-u.last)/60, 8)
}

func (u *usage) touch(now uint32) {
	if u.uses = u.worth(now); u.uses < 255 {
		u.uses++
	}
	u.last = now
}

func second(t time.Time) uint32 { return uint32(t.Unix()) } // up to the year 2106

// set makes m the mark of a token that was just verified.
func (m *mark) set(v *verified) {
	m.version, m.until, m.issuer, m.size = v.version, v.end.UnixMilli(), v.issuer.at, 0
}

// marks is a table of marks. They contain no pointers, so that the garbage collector does not scan
// them, and fill their pages without gaps.
type marks struct {
	at    map[uint64]uint32 // index of a mark by the start of its digest
	pages [][]mark
	n     int // number of marks
	most  int // limit of n
}

const pageMarks = 32 // 8 KiB

// get does not touch the beginning of the page, as it would if pages were arrays: that is in another
// cache line.
func (t *marks) get(at uint32) *mark { return &t.pages[at/pageMarks][at%pageMarks] }

// find returns the mark of a token, or nil. It is valid until the table changes.
func (t *marks) find(id *digest) *mark {
	if at, ok := t.at[id.start()]; ok && t.get(at).id == *id {
		return t.get(at)
	}
	return nil
}

// any returns a random mark. (Neighbours were added together, so they would be a bad sample.)
func (t *marks) any() *mark {
	return t.get(rand.Uint32N(uint32(t.n))) //nolint:gosec // which token is dropped is no secret
}

// add adds a mark for a token, or returns nil if there is no space. If the digests of two tokens
// start alike, which is unlikely, only the first gets one.
func (t *marks) add(id *digest) *mark {
	if _, taken := t.at[id.start()]; taken || t.n >= t.most {
		return nil
	}
	if t.n == len(t.pages)*pageMarks {
		t.pages = append(t.pages, make([]mark, pageMarks))
	}
	at := uint32(t.n)
	t.n++
	t.at[id.start()] = at
	m := t.get(at)
	*m = mark{id: *id}
	return m
}

// remove removes a mark, and moves the last one to its place.
func (t *marks) remove(m *mark) {
	at := t.at[m.id.start()]
	delete(t.at, m.id.start())
	t.n--
	if last := t.get(uint32(t.n)); last != m {
		*m = *last
		t.at[m.id.start()] = at
	}
}

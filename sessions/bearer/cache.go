package bearer

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// A cache remembers valid tokens in a bounded amount of memory. For a few tokens it keeps
// everything that was derived from them; for the others only a mark that says that they are valid,
// with a few packed bytes. Everything else is read from the token itself when it is needed. Only
// verified tokens are stored.
//
// If space is short, a few tokens are sampled, and those that are used much less often than the new
// one are dropped. So tokens that are presented once do not displace tokens that are presented
// repeatedly.
type cache struct {
	shards [cacheShards]cacheShard
	now    func() time.Time
}

// A cacheShard holds the tokens whose digests begin alike, so that requests do not contend for one
// lock.
type cacheShard struct {
	mu       sync.Mutex
	hot      map[digest]*verified
	weight   int             // of hot, in bytes
	most     int             // limit of weight
	marks    map[digest]mark // without pointers, so that the garbage collector does not read them
	mostMark int             // limit of len(marks)
	turned   uint            // how many tokens found no space
}

const (
	cacheShards = 16
	markSize    = 340 // bytes of a mark, with its digest and its share of the map, part of which is empty
	hotShare    = 7   // one seventh of the memory is for tokens that are kept whole
	cacheSample = 8   // how many tokens are sampled to find some to drop
	cacheTry    = 8   // one in so many repeated tokens looks for space: frequent tokens get frequent chances
	muchMore    = 4   // how many times as often a token must be used as the one that it displaces
)

// A digest is the SHA-256 of a token, and its key in the cache.
type digest [sha256.Size]byte

// A mark says that a token is valid until a time, as long as its issuer's keys have this version.
type mark struct {
	version uint64
	until   int64 // milliseconds since 1970
	usage
	ended  bool   // the session has ended: dropped first
	size   uint8  // of the packed bytes; 0 for none
	issuer uint16 // index in Verifier.all
	packed [maxPacked]byte
}

// maxPacked is how many bytes can be packed for a marked token: enough for the holder of one of our
// sessions if each value has about 30 bytes.
const maxPacked = 143

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

// newCache returns a cache of the given size.
func newCache(bytes int, now func() time.Time) *cache {
	c := &cache{now: now}
	for i := range c.shards {
		s := &c.shards[i]
		s.hot, s.most = make(map[digest]*verified), bytes/hotShare/cacheShards
		s.marks, s.mostMark = make(map[digest]mark), (bytes/cacheShards-s.most)/markSize
	}
	return c
}

func (c *cache) shard(id *digest) *cacheShard {
	return &c.shards[binary.LittleEndian.Uint32(id[:])%cacheShards]
}

func second(t time.Time) uint32 { return uint32(t.Unix()) } // up to the year 2106

// find returns what is known of a token: the whole, or a mark. space means that there may be space
// to keep a marked token whole.
func (c *cache) find(id *digest, weight int) (known *verified, m mark, marked, space bool) {
	now, s := second(c.now()), c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known = s.hot[*id]; known != nil {
		known.touch(now)
		return known, m, false, false
	}
	if m, marked = s.marks[*id]; marked {
		m.touch(now)
		s.marks[*id] = m
		space = !m.ended && s.tries(weight, m.worth(now))
	}
	return nil, m, marked, space
}

// add remembers a valid token, and returns the value that all concurrent requests with it share.
func (c *cache) add(id *digest, fresh *verified) *verified {
	now, s := c.now(), c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.hot[*id]; known != nil {
		if known.issuer == fresh.issuer && known.version == fresh.version {
			return known
		}
		s.drop(id) // verified with keys that have been replaced
	}
	m, marked := s.marks[*id]
	switch {
	case !marked:
		fresh.usage = usage{second(now), 1}
	case m.ended:
		return fresh
	default:
		fresh.usage = m.usage
	}
	switch {
	case s.makeSpace(fresh, now):
		delete(s.marks, *id)
		s.hot[*id] = fresh
		s.weight += fresh.weight
	case !marked || m.version != fresh.version:
		s.mark(id, fresh.mark(), now)
	}
	return fresh
}

// pack stores bytes for a marked token, unless its session is known to have ended.
func (c *cache) pack(id *digest, bytes []byte) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, marked := s.marks[*id]; marked && !m.ended {
		m.size = uint8(copy(m.packed[:], bytes))
		s.marks[*id] = m
	}
}

// tries reports whether to look for space to keep a token whole.
func (s *cacheShard) tries(weight int, worth uint8) bool {
	if s.weight+weight <= s.most {
		return true
	}
	s.turned++
	return worth >= muchMore && s.turned%cacheTry == 0
}

// makeSpace makes space to keep a token whole, if necessary by dropping others that are used much
// less, and reports whether it succeeded. If they would not free enough, none is dropped.
func (s *cacheShard) makeSpace(fresh *verified, now time.Time) bool {
	worth, free := int(fresh.worth(second(now))), s.most-s.weight
	var least []digest
	seen := 0
	for id, known := range s.hot {
		if seen++; free >= fresh.weight || worth < muchMore || seen > cacheSample {
			break
		}
		if worth >= muchMore*max(1, int(known.worth(second(now)))) {
			least, free = append(least, id), free+known.weight
		}
	}
	if free < fresh.weight {
		return false
	}
	for _, id := range least {
		m := s.hot[id].mark()
		s.drop(&id)
		s.mark(&id, m, now)
	}
	return true
}

// mark remembers that a token is valid, if there is space.
func (s *cacheShard) mark(id *digest, m mark, now time.Time) {
	if _, marked := s.marks[*id]; marked || len(s.marks) < s.mostMark || s.unmark(m.worth(second(now)), now) {
		s.marks[*id] = m
	}
}

// unmark drops a mark that has expired or is used no more than worth, and reports whether it found
// one.
func (s *cacheShard) unmark(worth uint8, now time.Time) bool {
	var at *digest
	var last uint32
	seen := 0
	for id, m := range s.marks {
		its := m.worth(second(now))
		if m.ended || m.until <= now.UnixMilli() {
			its = 0
		}
		if its < worth || its == worth && (at == nil || m.last < last) {
			at, worth, last = &id, its, m.last
		}
		if seen++; seen == cacheSample {
			break
		}
	}
	if at != nil {
		delete(s.marks, *at)
	}
	return at != nil
}

// remove drops a token.
func (c *cache) remove(id *digest) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
	delete(s.marks, *id)
}

// end reduces a token whose session has ended to a mark, so that presenting it again does not cost
// another signature check.
func (c *cache) end(id *digest) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, found := s.marks[*id]
	if known := s.hot[*id]; known != nil {
		m, found = known.mark(), true
		s.drop(id)
	}
	if found {
		m.ended, m.size = true, 0
		s.mark(id, m, c.now())
	}
}

func (s *cacheShard) drop(id *digest) {
	if known := s.hot[*id]; known != nil {
		s.weight -= known.weight
		delete(s.hot, *id)
	}
}

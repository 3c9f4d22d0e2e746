package bearer

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// A cache remembers good tokens in a bounded amount of memory: of some all that was made of them,
// of the others that they are good, and in a few bytes what somebody packed of them. What they say
// besides is read from themselves, when it is asked for. Only what was verified gets in.
//
// Where space is short, a few tokens are looked at, and those of them that are used much less than
// the new one make space: tokens that are presented once do not displace those that are presented
// again and again.
type cache struct {
	shards [cacheShards]cacheShard
	now    func() time.Time
}

// A cacheShard has the tokens whose digests begin alike: requests do not wait for one lock.
type cacheShard struct {
	mu       sync.Mutex
	hot      map[digest]*verified
	weight   int             // of hot, in bytes
	most     int             // that weight
	marks    map[digest]mark // without pointers, so that the garbage collector does not read them
	mostMark int             // how many of them
	turned   uint            // how many found no space
}

const (
	cacheShards = 16
	markSize    = 340 // bytes of a mark, with its digest and its share of the map, some of which is empty
	hotShare    = 7   // a seventh of the memory is for tokens of which all is remembered
	cacheSample = 8   // how many tokens are looked at to find some that make space
	cacheTry    = 8   // of so many that come again, one looks for it: what is used often comes often
	muchMore    = 4   // how many times as often as another a token is used that takes its space
)

// A digest is the SHA-256 of a token: what the cache knows it by.
type digest [sha256.Size]byte

// A mark says that a token is good, as long as its issuer's keys are those of version, and until
// then.
type mark struct {
	version uint64
	until   int64 // milliseconds since 1970
	usage
	ended  bool   // its session: it makes space first
	size   uint8  // of what is packed; 0: nothing
	issuer uint16 // its place in Verifier.all
	packed [maxPacked]byte
}

// maxPacked is how many bytes can be kept of a marked token: enough for who has a session of ours,
// where all that is said of them is some 30 bytes each.
const maxPacked = 143

// A usage is how often a token was presented, in the last minutes more than before.
type usage struct {
	last uint32 // second
	uses uint8  // up to then, each minute in between half
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

// newCache returns a cache of so many bytes.
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

// find returns what is known of a token: all of it, or a mark. space: there may be space for all of
// one that is marked.
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

// add remembers a good token, and returns what all who present it at once share.
func (c *cache) add(id *digest, fresh *verified) *verified {
	now, s := c.now(), c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.hot[*id]; known != nil {
		if known.issuer == fresh.issuer && known.version == fresh.version {
			return known
		}
		s.drop(id) // of keys that are no more
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

// pack keeps bytes of a token that is marked, of whose session nobody knows that it has ended.
func (c *cache) pack(id *digest, bytes []byte) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, marked := s.marks[*id]; marked && !m.ended {
		m.size = uint8(copy(m.packed[:], bytes))
		s.marks[*id] = m
	}
}

// tries reports whether it is worth while to look for space for all of a token.
func (s *cacheShard) tries(weight int, worth uint8) bool {
	if s.weight+weight <= s.most {
		return true
	}
	s.turned++
	return worth >= muchMore && s.turned%cacheTry == 0
}

// makeSpace reports whether there is space for all of a token, if need be in place of others that
// are used much less. Where they would not make enough, they stay.
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

// mark remembers that a token is good, if there is space for that.
func (s *cacheShard) mark(id *digest, m mark, now time.Time) {
	if _, marked := s.marks[*id]; marked || len(s.marks) < s.mostMark || s.unmark(m.worth(second(now)), now) {
		s.marks[*id] = m
	}
}

// unmark forgets that some token is good, if it finds one that has expired or is worth no more than
// that.
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

// remove forgets a token.
func (c *cache) remove(id *digest) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
	delete(s.marks, *id)
}

// end keeps of a token whose session has ended that it is good, and nothing else: who goes on to
// present it does not make us check its signature each time.
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

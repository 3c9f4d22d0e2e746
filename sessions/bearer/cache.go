package bearer

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// A cache remembers good tokens in a bounded amount of memory: of some all that was made of them,
// of the others that they are good. What those say is read from themselves when they are presented
// again, which takes a tenth of a signature check. Only what was verified gets in.
//
// Where space is short, a few tokens are picked at random, and the one of them that is used least
// makes space, if it is used no more than the new one: tokens that are presented once do not
// displace those that are presented again and again.
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
	markSize    = 120 // bytes of a mark, with its digest and its share of the map
	cacheSample = 8   // how many tokens are looked at to find one that makes space
	cacheTry    = 8   // of so many that come again, one looks for it: what is used often comes often
)

// A digest is the SHA-256 of a token: what the cache knows it by.
type digest [sha256.Size]byte

// A Holder is who holds a good token.
type Holder struct {
	// Caller is shared by all who present the token: never changed.
	Caller *sessions.Caller
	// Made is for what somebody makes of the caller, always of one type: it is there again
	// as long as the token is presented so often that all of it is remembered.
	Made atomic.Value
}

// verified is a good token, as long as its issuer's keys are those of version,
// and until its end.
type verified struct {
	Holder
	issuer  *issuer
	version uint64
	end     time.Time // exp, or the age of an ID token, and leeway
	weight  int       // bytes that it takes
	usage
}

// mark returns what is kept of it where there is no space for all.
func (v *verified) mark() mark {
	return mark{version: v.version, until: v.end.UnixMilli(), usage: v.usage}
}

// good reports whether the token is still good.
func (v *verified) good() bool {
	return v.issuer.Now().Before(v.end) && v.issuer.Keys.Version() == v.version
}

// weight estimates what a token takes of which all is remembered, and what is made of it, in bytes.
func weight(token string) int { return 1500 + 4*len(token) }

// A mark says that a token is good, as long as its issuer's keys are those of version, and until
// then.
type mark struct {
	version uint64
	until   int64 // milliseconds since 1970
	usage
	ended bool // its session: it makes space first
}

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

// newCache returns a cache of so many bytes, half of which are for marks.
func newCache(bytes int, now func() time.Time) *cache {
	c := &cache{now: now}
	for i := range c.shards {
		s := &c.shards[i]
		s.hot, s.most = make(map[digest]*verified), bytes/2/cacheShards
		s.marks, s.mostMark = make(map[digest]mark), s.most/markSize
	}
	return c
}

func (c *cache) shard(id *digest) *cacheShard {
	return &c.shards[binary.LittleEndian.Uint32(id[:])%cacheShards]
}

func second(t time.Time) uint32 { return uint32(t.Unix()) } // up to the year 2106

// find returns what is known of a token: all of it, or a mark.
func (c *cache) find(id *digest) (known *verified, m mark, marked bool) {
	now, s := c.now(), c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known = s.hot[*id]; known != nil {
		known.touch(second(now))
		return known, m, false
	}
	if m, marked = s.marks[*id]; marked {
		m.touch(second(now))
		s.marks[*id] = m
	}
	return nil, m, marked
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
	if s.makeSpace(fresh, now) {
		delete(s.marks, *id)
		s.hot[*id] = fresh
		s.weight += fresh.weight
	} else {
		s.mark(id, fresh.mark(), now)
	}
	return fresh
}

// makeSpace reports whether there is space for all of a token, in place of others that are used
// much less, if need be.
func (s *cacheShard) makeSpace(fresh *verified, now time.Time) bool {
	if s.weight+fresh.weight <= s.most {
		return true
	}
	worth := int(fresh.worth(second(now)))
	if s.turned++; worth < muchMore || s.turned%cacheTry != 0 {
		return false
	}
	for s.weight+fresh.weight > s.most {
		id, least := s.leastUsed(second(now))
		if least == nil || worth < muchMore*max(1, int(least.worth(second(now)))) {
			return false
		}
		s.drop(&id)
		s.mark(&id, least.mark(), now)
	}
	return true
}

// muchMore is how many times as often as another a token is used that takes its space: to exchange
// two costs more than it gains where they are used alike.
const muchMore = 4

// leastUsed returns one of which all is remembered, nil where there is none.
func (s *cacheShard) leastUsed(now uint32) (at digest, least *verified) {
	seen := 0
	for id, known := range s.hot {
		if least == nil || known.worth(now) < least.worth(now) {
			at, least = id, known
		}
		if seen++; seen == cacheSample {
			break
		}
	}
	return at, least
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
		m.ended = true
		s.mark(id, m, c.now())
	}
}

func (s *cacheShard) drop(id *digest) {
	if known := s.hot[*id]; known != nil {
		s.weight -= known.weight
		delete(s.hot, *id)
	}
}

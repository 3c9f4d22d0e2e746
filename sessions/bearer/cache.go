package bearer

import (
	"encoding/binary"
	"sync"
	"time"
)

// A cache remembers valid tokens in a bounded amount of memory. It keeps a mark for each token that
// says that it is valid, with a few packed bytes; for a few tokens it also keeps everything that was
// derived from them. Everything else is read from the token itself when it is needed. Only verified
// tokens are stored.
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
	mu     sync.Mutex
	marks  marks
	whole  []*verified // tokens that are kept whole
	weight int         // of whole, in bytes
	most   int         // limit of weight
	hand   int         // where the next sample of whole begins
	turned uint        // how many tokens found no space
}

const (
	cacheShards = 16
	hotShare    = 7 // one seventh of the memory is for tokens that are kept whole
	cacheSample = 8 // how many tokens are sampled to find some to drop
	cacheTry    = 8 // one in so many repeated tokens looks for space: frequent tokens get frequent chances
	usesFactor  = 4 // how many times as often a token must be used as the one that it displaces
)

// newCache returns a cache of the given size.
func newCache(bytes int, now func() time.Time) *cache {
	c := &cache{now: now}
	for i := range c.shards {
		s := &c.shards[i]
		s.most = bytes / hotShare / cacheShards
		s.marks = marks{at: make(map[uint64]uint32), most: (bytes/cacheShards - s.most) / markSize}
	}
	return c
}

func (c *cache) shard(id *digest) *cacheShard {
	return &c.shards[binary.LittleEndian.Uint32(id[:])%cacheShards]
}

// find returns what is cached of a token: the whole or nil, and a copy of the mark, which is zero if
// the token is unknown. space means that a marked token can be kept whole.
func (c *cache) find(id *digest, weight int) (whole *verified, known mark, space bool) {
	now, s := second(c.now()), c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.marks.find(id)
	if m == nil {
		return nil, mark{}, false
	}
	m.touch(now)
	if m.whole > 0 {
		return s.whole[m.whole-1], *m, false
	}
	return nil, *m, !m.ended && s.findSpace(weight, m.worth(now), now)
}

// add remembers a valid token, and returns the value that all concurrent requests with it share.
func (c *cache) add(fresh *verified) *verified {
	now, s := c.now(), c.shard(&fresh.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.marks.find(&fresh.id)
	switch {
	case m == nil:
		if m = s.addMark(&fresh.id, now); m == nil {
			return fresh
		}
		m.set(fresh)
	case m.ended:
		m.set(fresh)
		return fresh
	case m.version != fresh.version || m.issuer != fresh.issuer.at: // verified with keys that have been replaced
		s.drop(m)
		m.set(fresh)
	case m.whole > 0:
		return s.whole[m.whole-1]
	}
	if s.makeSpace(fresh.weight, m.worth(second(now)), second(now)) {
		s.whole = append(s.whole, fresh)
		m.whole = uint32(len(s.whole))
		s.weight += fresh.weight
	}
	return fresh
}

// pack stores bytes for a token, unless its session is known to have ended.
func (c *cache) pack(id *digest, bytes []byte) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.marks.find(id); m != nil && !m.ended {
		m.size = uint8(copy(m.packed[:], bytes))
	}
}

// findSpace reports whether there is space to keep a token whole. It does not look for it each time.
func (s *cacheShard) findSpace(weight int, worth uint8, now uint32) bool {
	if s.weight+weight <= s.most {
		return true
	}
	if s.turned++; worth < usesFactor || s.turned%cacheTry != 0 {
		return false
	}
	_, enough := s.victims(weight, worth, now)
	return enough
}

// makeSpace makes space to keep a token whole, if necessary by dropping others that are used much
// less, and reports whether it succeeded. If they would not free enough, none is dropped.
func (s *cacheShard) makeSpace(weight int, worth uint8, now uint32) bool {
	least, enough := s.victims(weight, worth, now)
	if !enough {
		return false
	}
	for _, known := range least {
		s.drop(s.marks.find(&known.id))
	}
	return true
}

// victims returns tokens of the next sample that are used much less than worth, and reports whether
// dropping them frees enough. The next call then samples the same ones.
func (s *cacheShard) victims(weight int, worth uint8, now uint32) (least []*verified, enough bool) {
	free, hand := s.most-s.weight, s.hand
	for range min(cacheSample, len(s.whole)) {
		if free >= weight || worth < usesFactor {
			break
		}
		known := s.whole[hand%len(s.whole)]
		if its := s.marks.find(&known.id).worth(now); int(worth) >= usesFactor*max(1, int(its)) {
			least, free = append(least, known), free+known.weight
		}
		hand++
	}
	if free < weight {
		s.hand = hand
		return nil, false
	}
	return least, true
}

// addMark adds a mark for a token, or returns nil if there is no space.
func (s *cacheShard) addMark(id *digest, now time.Time) *mark {
	if s.marks.n == s.marks.most {
		s.evictMark(now)
	}
	m := s.marks.add(id)
	if m != nil {
		m.usage = usage{second(now), 1}
	}
	return m
}

// evictMark drops one of a sample of tokens that has expired or is used no more than a new one.
func (s *cacheShard) evictMark(now time.Time) {
	var least *mark
	worth := uint8(1)
	for range min(cacheSample, s.marks.n) {
		m := s.marks.any()
		its := m.worth(second(now))
		if m.ended || m.until <= now.UnixMilli() {
			its = 0
		}
		if its < worth || its == worth && (least == nil || m.last < least.last) {
			least, worth = m, its
		}
	}
	if least != nil {
		s.drop(least)
		s.marks.remove(least)
	}
}

// remove drops a token.
func (c *cache) remove(id *digest) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.marks.find(id); m != nil {
		s.drop(m)
		s.marks.remove(m)
	}
}

// markRevoked reduces a token whose session has ended to a mark, so that presenting it again does
// not cost another signature check.
func (c *cache) markRevoked(id *digest) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.marks.find(id); m != nil {
		s.drop(m)
		m.ended, m.size = true, 0
	}
}

// drop reduces a token to its mark, and moves the last one of whole to its place.
func (s *cacheShard) drop(m *mark) {
	if m.whole == 0 {
		return
	}
	at, last := m.whole-1, len(s.whole)-1
	s.weight -= s.whole[at].weight
	s.marks.find(&s.whole[last].id).whole = m.whole
	s.whole[at], s.whole[last] = s.whole[last], nil
	s.whole, m.whole = s.whole[:last], 0
}

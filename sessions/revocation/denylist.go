package revocation

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"authsidecar/sessions"
)

// A DenyList knows in memory what was revoked: session ids for Retention, and cutoffs as
// long as they are stored. All who share a store share one. Its zero value is empty and
// ready; it is safe for concurrent use.
type DenyList struct {
	shards  [denyShards]denyShard
	cutoffs cutoffs

	mu        sync.Mutex
	listeners []chan<- struct{}
}

// denyShards keeps requests on many cores from waiting for one lock.
const denyShards = 64

type denyShard struct {
	mu      sync.RWMutex
	revoked map[sessions.Key]time.Time // when
}

var denySeed = maphash.MakeSeed()

func (d *DenyList) shard(key sessions.Key) *denyShard {
	return &d.shards[maphash.String(denySeed, key.ID)%denyShards]
}

// Add remembers that the session was revoked at that time.
func (d *DenyList) Add(key sessions.Key, at time.Time) {
	s := d.shard(key)
	s.mu.Lock()
	if s.revoked == nil {
		s.revoked = make(map[sessions.Key]time.Time)
	}
	_, known := s.revoked[key]
	if !known {
		s.revoked[key] = at
	}
	s.mu.Unlock()
	if !known {
		d.notify()
	}
}

// Revoked reports whether the session is known to be revoked, by its id or by a cutoff.
func (d *DenyList) Revoked(r *sessions.Ref) bool {
	s := d.shard(r.Key)
	s.mu.RLock()
	_, revoked := s.revoked[r.Key]
	s.mu.RUnlock()
	return revoked || d.cutoffs.revoke(r)
}

// Prune forgets the sessions whose access tokens have all expired at now, the store's
// clock.
func (d *DenyList) Prune(now time.Time) {
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.Lock()
		for key, at := range s.revoked {
			if now.Sub(at) > Retention {
				delete(s.revoked, key)
			}
		}
		s.mu.Unlock()
	}
}

// Len returns how many sessions and cutoffs are remembered.
func (d *DenyList) Len() int {
	n := int(d.cutoffs.count.Load())
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.RLock()
		n += len(s.revoked)
		s.mu.RUnlock()
	}
	return n
}

// Changes returns a channel that holds a value whenever something was revoked since it
// was last received from, until stop is called.
func (d *DenyList) Changes() (changes <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listeners = append(d.listeners, c)
	return c, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.listeners = slices.DeleteFunc(d.listeners, func(have chan<- struct{}) bool { return have == c })
	}
}

func (d *DenyList) notify() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.listeners {
		select {
		case c <- struct{}{}:
		default: // it holds one already
		}
	}
}

// AddCutoff puts a stored cutoff in force, and returns those that it replaces: of the
// same filter, and not later.
func (d *DenyList) AddCutoff(c Cutoff) (replaced []Cutoff) {
	replaced, added := d.cutoffs.add(c)
	if added {
		d.notify()
	}
	return replaced
}

// RemoveCutoff forgets a cutoff.
func (d *DenyList) RemoveCutoff(c Cutoff) { d.cutoffs.remove(c) }

// Cutoffs returns the cutoffs of the realm that are in force, oldest first.
func (d *DenyList) Cutoffs(realm string) []Cutoff { return d.cutoffs.of(realm) }

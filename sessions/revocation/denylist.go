package revocation

import (
	"hash/maphash"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"time"

	"authsidecar/sessions"
)

// A DenyList holds in memory what was revoked: session ids for Retention, and cutoffs as long as
// they are stored. All users of a store share one. The zero value is empty and ready; it is safe
// for concurrent use.
type DenyList struct {
	shards  [denyShards]denyShard
	cutoffs cutoffs

	mu        sync.Mutex
	listeners []chan<- struct{}
}

// denyShards reduces contention between requests on many cores.
const denyShards = 64

type denyShard struct {
	mu      sync.RWMutex
	revoked map[fingerprint]int64 // when, in ms since 1970
}

// A fingerprint stands for the key of a session, in a third of the memory. A collision of these 128
// keyed bits, which nobody outside can compute, would make both sessions refused.
type fingerprint [2]uint64

var denySeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func fingerprintOf(key sessions.Key) (f fingerprint) {
	for i, seed := range denySeeds {
		f[i] = maphash.String(seed, key.ID) ^ bits.RotateLeft64(maphash.String(seed, key.Realm), 1)
	}
	return f
}

func (d *DenyList) shard(f fingerprint) *denyShard { return &d.shards[f[0]%denyShards] }

// Add records that the session was revoked at that time.
func (d *DenyList) Add(key sessions.Key, at time.Time) {
	f := fingerprintOf(key)
	s := d.shard(f)
	s.mu.Lock()
	if s.revoked == nil {
		s.revoked = make(map[fingerprint]int64)
	}
	_, known := s.revoked[f]
	if !known {
		s.revoked[f] = at.UnixMilli()
	}
	s.mu.Unlock()
	if !known {
		d.notify()
	}
}

// Revoked reports whether the session is known to be revoked, by its id or by a cutoff.
func (d *DenyList) Revoked(r *sessions.Ref) bool {
	f := fingerprintOf(r.Key)
	s := d.shard(f)
	s.mu.RLock()
	_, revoked := s.revoked[f]
	s.mu.RUnlock()
	return revoked || d.cutoffs.revoke(r)
}

// Prune removes the sessions whose access tokens have all expired at now, by the store's clock.
func (d *DenyList) Prune(now time.Time) {
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.Lock()
		maps.DeleteFunc(s.revoked, func(_ fingerprint, at int64) bool { return now.Sub(time.UnixMilli(at)) > Retention })
		s.mu.Unlock()
	}
}

// Len returns how many sessions and cutoffs the list holds.
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

// Changes returns a channel that has a value whenever something was revoked since the last receive,
// until stop is called.
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
		default: // already signaled
		}
	}
}

// AddCutoff puts a stored cutoff in force, and returns those that it replaces: those with the same
// filter that are not later.
func (d *DenyList) AddCutoff(c Cutoff) (replaced []Cutoff) {
	replaced, added := d.cutoffs.add(c)
	if added {
		d.notify()
	}
	return replaced
}

// RemoveCutoff removes a cutoff.
func (d *DenyList) RemoveCutoff(c Cutoff) { d.cutoffs.remove(c) }

// Cutoffs returns the cutoffs of the realm that are in force, oldest first.
func (d *DenyList) Cutoffs(realm string) []Cutoff { return d.cutoffs.of(realm) }

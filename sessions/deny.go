package sessions

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Facts are what an access token says of its session, and all that it takes to tell
// whether that was ended.
type Facts struct {
	Key
	UserID        string
	Impersonation bool
	Actor         Principal // of an impersonation
	CreatedAt     time.Time
	StoreID       string // of the store that has the session; "" is not known
}

// Facts returns those of the session.
func (s *Session) Facts() Facts {
	f := Facts{Key: s.Key(), UserID: s.UserID, Impersonation: s.Impersonation, CreatedAt: s.CreatedAt}
	if s.Impersonation {
		f.Actor = s.Actor
	}
	return f
}

// A DenySet knows what was ended not long ago, so that nobody has to ask the store
// about each access token: sessions by their ids, for RevocationMemory, and
// cutoffs, as long as they are kept. Those who share a store share it. Its zero
// value is empty and ready; it is safe for concurrent use.
type DenySet struct {
	shards  [denyShards]denyShard
	cutoffs denyCutoffs

	mu      sync.Mutex
	changed []chan<- struct{}
}

const denyShards = 64

type denyShard struct {
	mu    sync.RWMutex
	ended map[Key]time.Time // when
}

var denySeed = maphash.MakeSeed()

func (d *DenySet) shard(key Key) *denyShard {
	return &d.shards[maphash.String(denySeed, key.ID)%denyShards]
}

// Deny remembers that the session was ended at that time.
func (d *DenySet) Deny(key Key, at time.Time) {
	s := d.shard(key)
	s.mu.Lock()
	if s.ended == nil {
		s.ended = make(map[Key]time.Time)
	}
	_, known := s.ended[key]
	if !known {
		s.ended[key] = at
	}
	s.mu.Unlock()
	if !known {
		d.notify()
	}
}

// Denied tells whether the session was ended.
func (d *DenySet) Denied(f *Facts) bool {
	s := d.shard(f.Key)
	s.mu.RLock()
	_, ended := s.ended[f.Key]
	s.mu.RUnlock()
	return ended || d.cutoffs.end(f)
}

// Prune forgets the sessions whose access tokens are all over at now, the store's
// clock.
func (d *DenySet) Prune(now time.Time) {
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.Lock()
		for key, at := range s.ended {
			if now.Sub(at) > RevocationMemory {
				delete(s.ended, key)
			}
		}
		s.mu.Unlock()
	}
}

// Len is how many sessions and cutoffs are remembered.
func (d *DenySet) Len() int {
	n := int(d.cutoffs.count.Load())
	for i := range d.shards {
		s := &d.shards[i]
		s.mu.RLock()
		n += len(s.ended)
		s.mu.RUnlock()
	}
	return n
}

// Changes returns a channel that holds a value whenever something was ended since
// it was last received from, until stop is called.
func (d *DenySet) Changes() (changes <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = append(d.changed, c)
	return c, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.changed = slices.DeleteFunc(d.changed, func(have chan<- struct{}) bool { return have == c })
	}
}

func (d *DenySet) notify() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.changed {
		select {
		case c <- struct{}{}:
		default: // it holds one
		}
	}
}

// denyCutoffs are cutoffs, by what finds them soonest: many users end all their
// sessions, and nobody looks at theirs but they.
type denyCutoffs struct {
	count atomic.Int64
	mu    sync.RWMutex
	by    map[cutoffIndex][]Cutoff
}

// A cutoffIndex is the user of a filter, else its actor, else only the realm.
type cutoffIndex struct {
	realm, user string
	actor       Principal
}

func (c *Cutoff) index() cutoffIndex {
	switch {
	case c.User != "":
		return cutoffIndex{realm: c.Realm, user: c.User}
	case c.Actor != nil:
		return cutoffIndex{realm: c.Realm, actor: *c.Actor}
	default:
		return cutoffIndex{realm: c.Realm}
	}
}

func (d *denyCutoffs) end(f *Facts) bool {
	if d.count.Load() == 0 {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return ends(d.by[cutoffIndex{realm: f.Realm, user: f.UserID}], f) ||
		f.Impersonation && (ends(d.by[cutoffIndex{realm: f.Realm, actor: f.Actor}], f) || ends(d.by[cutoffIndex{realm: f.Realm}], f))
}

func ends(cutoffs []Cutoff, f *Facts) bool {
	return slices.ContainsFunc(cutoffs, func(c Cutoff) bool { return c.ends(f) })
}

// until returns up to when all that the filter selects is ended; the zero time where
// no cutoff is as wide as the filter.
func (d *denyCutoffs) until(realm string, f *Filter) (until time.Time) {
	places := []cutoffIndex{{realm: realm}, {realm: realm, user: f.User}}
	if f.Actor != nil {
		places = append(places, cutoffIndex{realm: realm, actor: *f.Actor})
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, at := range places {
		for i := range d.by[at] {
			if c := &d.by[at][i]; c.At.After(until) && f.within(&c.Filter) {
				until = c.At
			}
		}
	}
	return until
}

// Cut puts a cutoff in force, and returns those that it makes needless.
func (d *DenySet) Cut(c Cutoff) (replaced []Cutoff) {
	all := &d.cutoffs
	all.mu.Lock()
	at := c.index()
	known := false
	kept := slices.DeleteFunc(all.by[at], func(have Cutoff) bool {
		known = known || have.ID == c.ID
		if have.ID == c.ID || !have.same(&c.Filter) || have.At.After(c.At) {
			return false
		}
		replaced = append(replaced, have)
		return true
	})
	if !known {
		kept = append(kept, c)
		all.count.Add(1)
	}
	if all.by == nil {
		all.by = make(map[cutoffIndex][]Cutoff)
	}
	all.by[at] = kept
	all.count.Add(-int64(len(replaced)))
	all.mu.Unlock()
	if !known {
		d.notify()
	}
	return replaced
}

// Uncut forgets a cutoff.
func (d *DenySet) Uncut(c Cutoff) {
	all := &d.cutoffs
	all.mu.Lock()
	defer all.mu.Unlock()
	at := c.index()
	before := len(all.by[at])
	kept := slices.DeleteFunc(all.by[at], func(have Cutoff) bool { return have.ID == c.ID })
	all.count.Add(int64(len(kept) - before))
	if all.by[at] = kept; len(kept) == 0 {
		delete(all.by, at)
	}
}

// Cutoffs returns those of the realm that are in force, oldest first.
func (d *DenySet) Cutoffs(realm string) []Cutoff {
	d.cutoffs.mu.RLock()
	var found []Cutoff
	for at, cutoffs := range d.cutoffs.by {
		if at.realm == realm {
			found = append(found, cutoffs...)
		}
	}
	d.cutoffs.mu.RUnlock()
	slices.SortFunc(found, func(a, b Cutoff) int { return a.At.Compare(b.At) })
	return found
}

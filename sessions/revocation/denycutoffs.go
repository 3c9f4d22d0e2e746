package revocation

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// cutoffs are the cutoffs in force, indexed so that a request checks only those that can apply:
// many users revoke all their own sessions, and a request needs only its own user's cutoffs.
type cutoffs struct {
	count atomic.Int64
	mu    sync.RWMutex
	by    map[cutoffIndex][]Cutoff
}

// A cutoffIndex is the user of a filter, or else its actor, or else only the realm.
type cutoffIndex struct {
	realm, user string
	actor       sessions.Principal
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

// revoke reports whether a cutoff revoked the session.
func (all *cutoffs) revoke(r *sessions.Ref) bool {
	if all.count.Load() == 0 {
		return false
	}
	all.mu.RLock()
	defer all.mu.RUnlock()
	return anyRevokes(all.by[cutoffIndex{realm: r.Realm, user: r.UserID}], r) ||
		r.Impersonation && (anyRevokes(all.by[cutoffIndex{realm: r.Realm, actor: r.Actor}], r) || anyRevokes(all.by[cutoffIndex{realm: r.Realm}], r))
}

func anyRevokes(cutoffs []Cutoff, r *sessions.Ref) bool {
	return slices.ContainsFunc(cutoffs, func(c Cutoff) bool { return c.Revokes(r) })
}

// until returns the latest time up to which a cutoff revokes everything that the filter selects;
// zero if no cutoff covers the filter.
func (all *cutoffs) until(realm string, f *sessions.Filter) (until time.Time) {
	places := []cutoffIndex{{realm: realm}, {realm: realm, user: f.User}}
	if f.Actor != nil {
		places = append(places, cutoffIndex{realm: realm, actor: *f.Actor})
	}
	all.mu.RLock()
	defer all.mu.RUnlock()
	for _, at := range places {
		for i := range all.by[at] {
			if c := &all.by[at][i]; c.At.After(until) && covers(&c.Filter, f) {
				until = c.At
			}
		}
	}
	return until
}

func (all *cutoffs) add(c Cutoff) (replaced []Cutoff, added bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	at := c.index()
	added = true
	kept := slices.DeleteFunc(all.by[at], func(have Cutoff) bool {
		added = added && have.ID != c.ID
		if have.ID == c.ID || !sameFilter(&have.Filter, &c.Filter) || have.At.After(c.At) {
			return false
		}
		replaced = append(replaced, have)
		return true
	})
	if added {
		kept = append(kept, c)
		all.count.Add(1)
	}
	if all.by == nil {
		all.by = make(map[cutoffIndex][]Cutoff)
	}
	all.by[at] = kept
	all.count.Add(-int64(len(replaced)))
	return replaced, added
}

func (all *cutoffs) remove(c Cutoff) {
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

func (all *cutoffs) of(realm string) []Cutoff {
	all.mu.RLock()
	var found []Cutoff
	for at, some := range all.by {
		if at.realm == realm {
			found = append(found, some...)
		}
	}
	all.mu.RUnlock()
	slices.SortFunc(found, func(a, b Cutoff) int { return a.At.Compare(b.At) })
	return found
}

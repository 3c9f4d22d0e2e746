package oauthapi

import (
	"crypto/sha256"
	"sync"
	"time"
)

// How many assertions of a client are remembered.
const (
	firstReplays = 1 << 10 // when those that are over are forgotten for the first time
	maxReplays   = 1 << 18 // some 15 MiB
)

// replays are the ids of the assertions that a client used, until they are over. The zero
// value, with a clock, is ready.
type replays struct {
	now func() time.Time

	mu    sync.Mutex
	seen  map[[16]byte]int64 // the end, in seconds since 1970
	sweep int                // at how many those that are over are forgotten
}

// add remembers an id until its end. fresh reports whether it is new; full, that there are too
// many to tell.
func (r *replays) add(id string, end time.Time) (fresh, full bool) {
	sum := sha256.Sum256([]byte(id))
	key := [16]byte(sum[:16])
	now := r.now().Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	if until, used := r.seen[key]; used && until >= now {
		return false, false
	}
	if r.seen == nil {
		r.seen, r.sweep = make(map[[16]byte]int64), firstReplays
	}
	if len(r.seen) >= r.sweep {
		for known, until := range r.seen {
			if until < now {
				delete(r.seen, known)
			}
		}
		r.sweep = min(max(2*len(r.seen), firstReplays), maxReplays)
	}
	if len(r.seen) >= maxReplays {
		return false, true
	}
	r.seen[key] = end.Unix() + 1
	return true, false
}

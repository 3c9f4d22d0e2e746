package oauthapi

import (
	"container/heap"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// maxReplays is how many assertions of a client are remembered: about 20 MiB.
	maxReplays = 1 << 18
	// forgetAtOnce is how many expired assertions are dropped with each new one: more than one, so
	// that their number falls, but few, so that no request waits.
	forgetAtOnce = 2
)

// replays are the ids of the assertions that a client has used, until they expire. The zero value
// is ready.
type replays struct {
	mu   sync.Mutex
	seen map[assertionSum]int64 // expiry, in seconds since 1970
	ends usesByEnd
}

type assertionSum [16]byte

// add remembers an id until it expires. fresh reports whether it is new; full means that there are
// too many to know.
func (r *replays) add(id string, end, now time.Time) (fresh, full bool) {
	sum := sha256.Sum256([]byte(id))
	u := use{sum: assertionSum(sum[:16]), end: end.Unix() + 1}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now.Unix())
	if until, used := r.seen[u.sum]; used && until >= now.Unix() {
		return false, false
	}
	if len(r.ends) >= maxReplays {
		return false, true
	}
	if r.seen == nil {
		r.seen = make(map[assertionSum]int64)
	}
	r.seen[u.sum] = u.end
	heap.Push(&r.ends, u)
	return true, false
}

// forget drops some of the expired ones.
func (r *replays) forget(now int64) {
	for range forgetAtOnce {
		if len(r.ends) == 0 || r.ends[0].end >= now {
			return
		}
		over := heap.Pop(&r.ends).(use)
		if r.seen[over.sum] == over.end { // not used again since
			delete(r.seen, over.sum)
		}
	}
}

// A use is one use of an assertion.
type use struct {
	sum assertionSum
	end int64
}

// usesByEnd is a heap ordered by expiry.
type usesByEnd []use

func (u usesByEnd) Len() int           { return len(u) }
func (u usesByEnd) Less(i, j int) bool { return u[i].end < u[j].end }
func (u usesByEnd) Swap(i, j int)      { u[i], u[j] = u[j], u[i] }

// Push adds a use.
func (u *usesByEnd) Push(x any) { *u = append(*u, x.(use)) }

// Pop removes the last use.
func (u *usesByEnd) Pop() any {
	last := (*u)[len(*u)-1]
	*u = (*u)[:len(*u)-1]
	return last
}

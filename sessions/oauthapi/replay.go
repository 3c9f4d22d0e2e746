package oauthapi

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// maxReplays is how many assertions of a client are remembered: about 16 MiB.
	maxReplays = 1 << 18
	// replayBlock is the span of expiry times that are dropped together, in seconds. No assertion
	// lives longer than assertionLifetime, so there are few blocks to look into.
	replayBlock = 60
)

// replays are the ids of the assertions that a client has used, until they expire. The zero value
// is ready.
type replays struct {
	mu   sync.Mutex
	seen map[int64]map[assertionSum]int64 // expiry, in seconds since 1970, by block
}

type assertionSum [16]byte

// add remembers an id until it expires. fresh reports whether it is new; full means that there are
// too many to know. One that has expired since it was verified is not fresh: it is unknown whether it
// was used before.
func (r *replays) add(id string, end, now time.Time) (fresh, full bool) {
	hash := sha256.Sum256([]byte(id))
	sum, until, known := assertionSum(hash[:16]), end.Unix()+1, 0
	if until < now.Unix() {
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, sums := range r.seen {
		switch {
		case at < now.Unix()/replayBlock:
			delete(r.seen, at)
		case sums[sum] >= now.Unix():
			return false, false
		default:
			known += len(sums)
		}
	}
	if known >= maxReplays {
		return false, true
	}
	if r.seen == nil {
		r.seen = make(map[int64]map[assertionSum]int64)
	}
	block := until / replayBlock
	if r.seen[block] == nil {
		r.seen[block] = make(map[assertionSum]int64)
	}
	r.seen[block][sum] = until
	return true, false
}

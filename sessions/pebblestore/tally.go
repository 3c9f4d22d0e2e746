package pebblestore

import (
	"hash/maphash"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A tally counts in memory how many listed sessions each user has of each kind,
// so that nobody who creates one has to look. It is a fixed number of counters
// that users share by chance: so a count is too high at times, and never too low.
//
// What is added counts before it is committed; what is taken away, after it is
// durable, and only if all that was there before is counted by then.
type tally struct {
	seed maphash.Seed
	stop chan struct{} // closed to end filling
	over chan struct{} // closed when it ended

	mu     sync.Mutex
	counts []uint16
	full   bool // all is counted that was there when the store was opened
}

const (
	// tallySize is how many counters there are: 2 MiB of them.
	tallySize = 1 << 20
	// manyTallied is as far as a counter goes. It stays there.
	manyTallied = math.MaxUint16
	// tallyStep is how many entries are read with one iterator, which keeps what
	// it reads from being deleted.
	tallyStep = 16 << 10
)

func newTally() *tally {
	return &tally{
		seed: maphash.MakeSeed(), stop: make(chan struct{}), over: make(chan struct{}),
		counts: make([]uint16, tallySize),
	}
}

// counter returns which one is for the user and kind of an index entry.
func (t *tally) counter(key []byte) uint32 {
	return uint32(maphash.Bytes(t.seed, key[:userPrefix]) % tallySize)
}

func isUserEntry(key []byte) bool { return len(key) >= userPrefix && key[0] == kindUser }

// count returns how many sessions have an entry with that prefix at the most:
// math.MaxInt where nobody knows.
func (t *tally) count(prefix []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.counts[t.counter(prefix)]
	if !t.full || n == manyTallied {
		return math.MaxInt
	}
	return int(n)
}

// add counts what the batch, which is not committed yet, adds. It returns the
// counters of what it deletes, for sub.
func (t *tally) add(batch *pebble.Batch) (deleted []uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for r := batch.Reader(); ; {
		kind, key, _, ok, err := r.Next()
		switch {
		case !ok || err != nil: // Pebble will say what is wrong with it
			return deleted
		case !isUserEntry(key):
		case kind == pebble.InternalKeyKindSet:
			t.more(t.counter(key))
		case kind == pebble.InternalKeyKindDelete && t.full:
			deleted = append(deleted, t.counter(key))
		}
	}
}

// sub takes away what add returned, after the batch is durable.
func (t *tally) sub(deleted []uint32) {
	if len(deleted) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range deleted {
		if n := t.counts[i]; n > 0 && n < manyTallied {
			t.counts[i]--
		}
	}
}

func (t *tally) more(i uint32) {
	if t.counts[i] < manyTallied {
		t.counts[i]++
	}
}

// fill counts what is in the database already. Until it is done, nobody knows
// anything; what is added meanwhile may be counted twice.
func (t *tally) fill(db *pebble.DB) {
	defer close(t.over)
	for from := []byte{kindUser}; from != nil; {
		select {
		case <-t.stop:
			return
		default:
		}
		var err error
		if from, err = t.step(db, from); err != nil {
			return // it stays as it is: slower, and as safe
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.full = true
}

// step counts some entries and returns where the next ones begin, nil at the end.
func (t *tally) step(db *pebble.DB, from []byte) (next []byte, err error) {
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{kindUser + 1}})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := iter.Close(); err == nil {
			err = closing
		}
	}()
	found := make([]uint32, 0, tallyStep)
	for iter.First(); iter.Valid(); iter.Next() {
		if len(found) == tallyStep {
			next = append([]byte(nil), iter.Key()...)
			break
		}
		if isUserEntry(iter.Key()) {
			found = append(found, t.counter(iter.Key()))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range found {
		t.more(i)
	}
	return next, iter.Error()
}

// end ends filling.
func (t *tally) end() {
	close(t.stop)
	<-t.over
}

package pebblestore

import (
	"bytes"
	"hash/maphash"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A tally knows in memory, roughly, what is in the database, so that whoever creates
// a session need not look. Of how many listed sessions a user has of each kind it may
// think too many, and never too few: users share counters by chance. Of an id that is
// new it may think that it is there, and never the other way round.
//
// What is added counts before it is committed; what is taken away, after it is
// durable, and only if all that was there before is counted by then. Ids are never
// taken away: so all is read again when too many came.
type tally struct {
	seed    maphash.Seed
	stop    chan struct{}  // closed to end reading
	reading sync.WaitGroup // who reads

	mu     sync.Mutex
	counts []uint16
	ids    []uint64 // a bit for each id, shared by chance
	full   bool     // all is known that was there when the store was opened
	rows   int      // that were read
	added  int      // ids that came since
}

const (
	// tallyCounts is how many counters there are: 2 MiB of them.
	tallyCounts = 1 << 20
	// manyTallied is as far as a counter goes. It stays there.
	manyTallied = math.MaxUint16
	// tallyBits is how many bits there are for ids, 8 MiB: one of a hundred ids that
	// are new is thought to be there where 700,000 are, one of four where 19 million are.
	tallyBits = 1 << 26
	// tallyRoom is how many ids come at the least before all is read again.
	tallyRoom = tallyBits / 4
	// tallyStep is how many entries are read with one iterator, which keeps what
	// it reads from being deleted.
	tallyStep = 16 << 10
)

func newTally() *tally {
	return &tally{
		seed: maphash.MakeSeed(), stop: make(chan struct{}),
		counts: make([]uint16, tallyCounts), ids: make([]uint64, tallyBits/64),
	}
}

// counter returns which one is for the user and kind of an index entry.
func (t *tally) counter(key []byte) uint32 {
	return uint32(maphash.Bytes(t.seed, key[:userPrefix]) % tallyCounts)
}

// bit returns which one is for the realm and id that stand at the end of a key.
func (t *tally) bit(realmAndID []byte) uint32 {
	return uint32(maphash.Bytes(t.seed, realmAndID) % tallyBits)
}

func isUserEntry(key []byte) bool { return len(key) >= userPrefix && key[0] == kindUser }

// isExpiryEntry tells whether a key is of the index that each row has an entry in.
func isExpiryEntry(key []byte) bool { return len(key) >= 1+timeSize && key[0] == kindExpiry }

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

// absent tells whether there is certainly no row of that key.
func (t *tally) absent(rowKey []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.bit(rowKey[1:])
	return t.full && t.ids[i/64]&(1<<(i%64)) == 0
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
		case kind == pebble.InternalKeyKindSet:
			t.more(key)
		case kind == pebble.InternalKeyKindDelete && t.full && isUserEntry(key):
			deleted = append(deleted, t.counter(key))
		}
	}
}

// more counts one entry.
func (t *tally) more(key []byte) {
	switch {
	case isUserEntry(key):
		t.countOne(t.counter(key))
	case isExpiryEntry(key):
		t.mark(t.bit(key[1+timeSize:]))
		t.added++
	}
}

func (t *tally) countOne(i uint32) {
	if t.counts[i] < manyTallied {
		t.counts[i]++
	}
}

func (t *tally) mark(i uint32) { t.ids[i/64] |= 1 << (i % 64) }

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

// renew begins anew if too many ids came. It is called while nothing is being
// committed, so that what is there will be read, and what is not will be added.
func (t *tally) renew(db *pebble.DB) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.full || t.added < max(tallyRoom, t.rows) {
		return
	}
	t.full = false
	clear(t.counts)
	clear(t.ids)
	t.fill(db)
}

// fill begins to count what is in the database already. Until it is done, nobody
// knows anything; what is added meanwhile may be counted twice.
func (t *tally) fill(db *pebble.DB) { t.reading.Go(func() { t.read(db) }) }

func (t *tally) read(db *pebble.DB) {
	rows := 0
	found := make([]uint32, 0, tallyStep)
	for _, kind := range []byte{kindUser, kindExpiry} {
		for from := []byte{kind}; from != nil; {
			select {
			case <-t.stop:
				return
			default:
			}
			var err error
			if found, from, err = t.step(db, from, kind, found[:0]); err != nil {
				return // it stays as it is: slower, and as safe
			}
			t.put(kind, found)
			rows += len(found)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.full, t.rows, t.added = true, rows, 0
}

// step reads some entries of an index: what they are counted by, and where the next
// ones begin, nil at the end.
func (t *tally) step(db *pebble.DB, from []byte, kind byte, found []uint32) (_ []uint32, next []byte, err error) {
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{kind + 1}})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if closing := iter.Close(); err == nil {
			err = closing
		}
	}()
	for iter.First(); iter.Valid(); iter.Next() {
		key := iter.Key()
		switch {
		case len(found) == tallyStep:
			return found, bytes.Clone(key), nil
		case isUserEntry(key):
			found = append(found, t.counter(key))
		case isExpiryEntry(key):
			found = append(found, t.bit(key[1+timeSize:]))
		}
	}
	return found, nil, iter.Error()
}

// put counts what was read of an index. Doing it together saves most of the time that
// memory takes.
func (t *tally) put(kind byte, found []uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range found {
		if kind == kindUser {
			t.countOne(i)
		} else {
			t.mark(i)
		}
	}
}

// end ends reading.
func (t *tally) end() {
	close(t.stop)
	t.reading.Wait()
}

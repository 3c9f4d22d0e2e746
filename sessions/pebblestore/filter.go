package pebblestore

import (
	"bytes"
	"context"
	"hash/maphash"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A filter knows in memory, roughly, what is in the database, so that Create need not look there:
// where a million sessions are, that costs 28 µs of processor time with it, and 78 µs with Pebble's
// own filters alone (BenchmarkCreate). It is a counting filter of the listed sessions of each user
// and kind, which may count too many, and never too few, and a Bloom filter of ids, which may take
// a new one for one that is there, and never the other way round.
//
// What is added counts before it is committed; what is deleted, after it is durable, and only if
// all that was there before is counted by then. Ids are never taken out: so all is read again when
// too many came.
type filter struct {
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
	// filterCounts is how many counters there are: 2 MiB of them.
	filterCounts = 1 << 20
	// mostCounted is as far as a counter goes. It stays there.
	mostCounted = math.MaxUint16
	// filterBits is how many bits there are for ids, 8 MiB: one of a hundred ids that
	// are new is thought to be there where 700,000 are, one of four where 19 million are.
	filterBits = 1 << 26
	// filterRoom is how many ids come at the least before all is read again.
	filterRoom = filterBits / 4
	// filterStep is how many entries are read with one iterator, which keeps what
	// it reads from being deleted.
	filterStep = 16 << 10
)

func newFilter() *filter {
	return &filter{
		seed: maphash.MakeSeed(), stop: make(chan struct{}),
		counts: make([]uint16, filterCounts), ids: make([]uint64, filterBits/64),
	}
}

// counter returns which one is for the user and kind of an index entry.
func (f *filter) counter(key []byte) uint32 {
	return uint32(maphash.Bytes(f.seed, key[:userPrefix]) % filterCounts)
}

// bit returns which one is for the realm and id that stand at the end of a key.
func (f *filter) bit(realmAndID []byte) uint32 {
	return uint32(maphash.Bytes(f.seed, realmAndID) % filterBits)
}

func isUserEntry(key []byte) bool { return len(key) >= userPrefix && key[0] == kindUser }

// isExpiryEntry reports whether a key is of the index that each row has an entry in.
func isExpiryEntry(key []byte) bool { return len(key) >= 1+timeSize && key[0] == kindExpiry }

// count returns how many sessions have an entry with that prefix at the most:
// math.MaxInt where that is unknown.
func (f *filter) count(prefix []byte) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most(prefix)
}

// most is count, with mu held.
func (f *filter) most(prefix []byte) int {
	n := f.counts[f.counter(prefix)]
	if !f.full || n == mostCounted {
		return math.MaxInt
	}
	return int(n)
}

// open opens an iterator of the index entries of a prefix. Where they are counted only, it says how
// many there are at the most: a walk that stops there steps over none that was deleted behind them
// (Create/crowded of caddymodule's benchmarks). Nothing is counted in between.
func (f *filter) open(db *pebble.DB, prefix []byte, counting bool) (in indexed, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in = indexed{prefix: prefix, left: math.MaxInt}
	if counting && isUserEntry(prefix) {
		in.left = f.most(prefix)
	}
	in.Iterator, err = db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix), UseL6Filters: true})
	return in, err
}

// absent reports whether there is certainly no row of that key.
func (f *filter) absent(rowKey []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.bit(rowKey[1:])
	return f.full && f.ids[i/64]&(1<<(i%64)) == 0
}

// add counts what the batch, which is not committed yet, adds. It returns the
// counters of what it deletes, for sub.
func (f *filter) add(batch *pebble.Batch) (deleted []uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := batch.Reader(); ; {
		kind, key, _, ok, err := r.Next()
		switch {
		case !ok || err != nil: // Pebble will say what is wrong with it
			return deleted
		case kind == pebble.InternalKeyKindSet:
			f.more(key)
		case kind == pebble.InternalKeyKindDelete && f.full && isUserEntry(key):
			deleted = append(deleted, f.counter(key))
		}
	}
}

// more counts one entry.
func (f *filter) more(key []byte) {
	switch {
	case isUserEntry(key):
		f.countOne(f.counter(key))
	case isExpiryEntry(key):
		f.mark(f.bit(key[1+timeSize:]))
		f.added++
	}
}

func (f *filter) countOne(i uint32) {
	if f.counts[i] < mostCounted {
		f.counts[i]++
	}
}

func (f *filter) mark(i uint32) { f.ids[i/64] |= 1 << (i % 64) }

// sub takes away what add returned, after the batch is durable.
func (f *filter) sub(deleted []uint32) {
	if len(deleted) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range deleted {
		if n := f.counts[i]; n > 0 && n < mostCounted {
			f.counts[i]--
		}
	}
}

// renew begins anew if too many ids came. It is called while nothing is being
// committed, so that what is there will be read, and what is not will be added.
func (f *filter) renew(db *pebble.DB) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.full || f.added < max(filterRoom, f.rows) {
		return
	}
	f.full = false
	clear(f.counts)
	clear(f.ids)
	f.fill(db)
}

// fill begins to count what is in the database already. Until it is done, nobody
// knows anything; what is added meanwhile may be counted twice.
func (f *filter) fill(db *pebble.DB) { f.reading.Go(func() { f.read(db) }) }

func (f *filter) read(db *pebble.DB) {
	rows := 0
	found := make([]uint32, 0, filterStep)
	for _, kind := range []byte{kindUser, kindExpiry} {
		for from := []byte{kind}; from != nil; {
			select {
			case <-f.stop:
				return
			default:
			}
			var err error
			if found, from, err = f.step(db, from, kind, found[:0]); err != nil {
				return // it stays as it is: slower, and as safe
			}
			f.put(kind, found)
			rows += len(found)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full, f.rows, f.added = true, rows, 0
}

// step reads some entries of an index: what they are counted by, and where the next
// ones begin, nil at the end.
func (f *filter) step(db *pebble.DB, from []byte, kind byte, found []uint32) (_ []uint32, next []byte, err error) {
	for key := range entries(context.Background(), db, from, []byte{kind + 1}, &err) {
		switch {
		case len(found) == filterStep:
			return found, bytes.Clone(key), nil
		case isUserEntry(key):
			found = append(found, f.counter(key))
		case isExpiryEntry(key):
			found = append(found, f.bit(key[1+timeSize:]))
		}
	}
	return found, nil, err
}

// put counts what was read of an index. Doing it together saves most of the time that
// memory takes.
func (f *filter) put(kind byte, found []uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range found {
		if kind == kindUser {
			f.countOne(i)
		} else {
			f.mark(i)
		}
	}
}

// end ends reading.
func (f *filter) end() {
	close(f.stop)
	f.reading.Wait()
}

package pebblestore

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The page on performance says what a store holds in memory at most, which is little: whoever makes it
// more measures it anew (BenchmarkMemory of caddymodule) and says so there.
func TestTheMemoryOfAStoreIsWhatThePageSays(t *testing.T) {
	page, err := os.ReadFile("../../caddymodule/docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	o := pebbleOptions(&Options{MemTableSize: memTable(1 << 40)})
	cache := o.CacheSize - 2*int64(o.MemTableSize)
	memtables := int64(o.MemTableStopWritesThreshold) * int64(o.MemTableSize)
	f := newFilter()
	filter := int64(2*len(f.counts) + 8*len(f.ids))
	want := fmt.Sprintf("a block cache of %d MiB, up to %d memtables of %d MiB and a filter of %d MiB",
		cache>>20, o.MemTableStopWritesThreshold, o.MemTableSize>>20, filter>>20)
	if !strings.Contains(string(page), want) {
		t.Errorf("the page does not say: %s", want)
	}
	if sum := (cache + memtables + filter) >> 20; sum > 50 {
		t.Errorf("%d MiB together, not at most 50", sum)
	}
}

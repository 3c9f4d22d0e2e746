package servertest

import (
	"flag"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// lasting is what ends with the process.
var lasting struct {
	sync.Mutex
	ends []func()
}

// A lastingTB is a test whose Cleanup is that of the process.
type lastingTB struct{ testing.TB }

func (lastingTB) Cleanup(f func()) {
	lasting.Lock()
	defer lasting.Unlock()
	lasting.ends = append(lasting.ends, f)
}

// A Shared starts something once, for all tests of a package that do it no harm. Its package needs
// Main.
type Shared[T any] struct {
	Start func(testing.TB) T

	mu      sync.Mutex
	started bool
	value   T
}

// Get returns what is shared.
func (s *Shared[T]) Get(t testing.TB) T {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.value = s.Start(lastingTB{t})
		s.started = true
	}
	return s.value
}

// atOnce is how many parallel tests run at once, unless -parallel says more: they wait for servers
// more than they compute.
const atOnce = 8

// lessGarbage makes this process and those that it starts collect garbage less often: heaps of tests
// are small.
func lessGarbage() {
	const percent = 1000
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
		_ = os.Setenv("GOGC", strconv.Itoa(percent)) // fails only for invalid names
	}
}

// Main is the TestMain of a package with something Shared, or with many files. Benchmarks keep
// the usual garbage collection, and their files on the disk: they measure what programs cost elsewhere.
func Main(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		lessGarbage()
		inMemory()
	}
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set(strconv.Itoa(atOnce))
	}
	code := m.Run()
	lasting.Lock()
	for _, end := range slices.Backward(lasting.ends) {
		end()
	}
	os.Exit(code)
}

package redisstore

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/storetest"
)

// shared are servers that tests share which do them no harm.
var shared struct {
	sync.Mutex
	server  *redistest.Server
	cluster *redistest.Cluster
	over    []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range slices.Backward(shared.over) {
		end()
	}
	os.Exit(code)
}

// lasting is a test that ends with the process.
type lasting struct{ testing.TB }

func (lasting) Cleanup(f func()) { shared.over = append(shared.over, f) }

func server(t testing.TB) *redistest.Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = redistest.Start(lasting{t})
	}
	return shared.server
}

func cluster(t testing.TB) *redistest.Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		shared.cluster = redistest.StartCluster(lasting{t})
	}
	return shared.cluster
}

var opened atomic.Int64

// newPrefix is one that no test used.
func newPrefix() string { return fmt.Sprintf("test.%d", opened.Add(1)) }

// openStore opens a store that the test closes.
func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	if opts.URL == "" {
		opts.URL = server(t).URL(0)
	}
	if opts.Prefix == "" {
		opts.Prefix = newPrefix()
	}
	s, err := Open(ctx(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ctx() context.Context { return context.Background() }

func TestItem1_TheStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{Now: now})
	})
}

func TestItem1_TheStoreKeepsTheContractInACluster(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) sessions.Store {
		return openStore(t, Options{Now: now, URL: cluster(t).URL()})
	})
}

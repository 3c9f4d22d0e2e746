package pebblestore

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"authsidecar/sessions"
)

// benchUsers is over how many users the sessions of benchmarks are spread.
const benchUsers = 100_000

// benchDir is on the disk that the repository is on: temporary directories may
// be in memory, where fsync costs nothing.
func benchDir(b testing.TB) string {
	b.Helper()
	dir, err := os.MkdirTemp(".", ".bench-*")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "store")
}

var benchID atomic.Int64

// benchRow is a session as a client of a real app gets it.
func benchRow(n int64, now time.Time) sessions.Session {
	return sessions.Session{
		Realm: "https://app.example.com", ID: "s" + strconv.FormatInt(n*7919%1e9, 36) + "-0123456789abcd",
		UserID: "user-" + strconv.FormatInt(n%benchUsers, 10), ClientID: "my-app",
		Actor:       sessions.Principal{Issuer: "https://idp.example.com", Subject: "user-" + strconv.FormatInt(n%benchUsers, 10)},
		ActorClient: "my-app", ActorClaims: sessions.Claims{"scope": "openid profile sessions"}, Rule: "self",
		IP: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(720 * time.Hour), Idle: 336 * time.Hour,
		KeyID: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", Secret: [sessions.SecretSize]byte{byte(n), byte(n >> 8), 3},
	}
}

// preload creates n sessions.
func preload(b testing.TB, s *Store, n int) {
	b.Helper()
	var all sync.WaitGroup
	var next atomic.Int64
	for range 256 {
		all.Go(func() {
			for next.Add(1) <= int64(n) {
				if _, _, _, err := s.Create(ctx(), benchRow(benchID.Add(1), s.Now())); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// cpuTime is the processor time that this process took.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// parallel runs op in 64 goroutines and reports the processor time of each.
func parallel(b *testing.B, op func() error) {
	b.ReportAllocs()
	b.SetParallelism(32) // of each of 2 processors
	before := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := op(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// sizes are how many sessions are there before.
func sizes(b *testing.B, run func(b *testing.B, s *Store)) {
	for _, n := range []int{0, 1_000_000} {
		if n > 0 && testing.Short() {
			continue
		}
		s := openStore(b, Options{Dir: benchDir(b)})
		preload(b, s, n)
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) { run(b, s) })
	}
}

func BenchmarkCreate(b *testing.B) {
	sizes(b, func(b *testing.B, s *Store) {
		parallel(b, func() error {
			_, created, _, err := s.Create(ctx(), benchRow(benchID.Add(1), time.Time{})) // it begins now
			if err == nil && !created {
				err = os.ErrExist
			}
			return err
		})
	})
}

func BenchmarkUpdate(b *testing.B) {
	sizes(b, func(b *testing.B, s *Store) {
		first := benchID.Load() + 1
		preload(b, s, 10_000)
		var next atomic.Int64
		parallel(b, func() error {
			key := benchRow(first+next.Add(1)*31%10_000, s.Now())
			_, err := s.Update(ctx(), key.Key(), func(r sessions.Session, now time.Time) (sessions.Session, bool) {
				r.Generation++
				r.SecretPrev, r.Secret = r.Secret, [sessions.SecretSize]byte{byte(r.Generation), 1}
				r.RotatedAt = now
				return r, true
			})
			return err
		})
	})
}

func BenchmarkCount(b *testing.B) {
	sizes(b, func(b *testing.B, s *Store) {
		preload(b, s, 10_000)
		no := false
		var next atomic.Int64
		parallel(b, func() error {
			user := "user-" + strconv.FormatInt(next.Add(7919)%benchUsers, 10)
			_, err := s.List(ctx(), sessions.Query{Realm: "https://app.example.com", User: user, Impersonations: &no, KeysOnly: true, Limit: 201})
			return err
		})
	})
}

// rss is the resident memory of this process in bytes.
func rss(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("NOT TESTED: memory is measured by /proc: %v", err)
	}
	_, after, _ := strings.Cut(string(data), "VmRSS:")
	var kb int
	if _, err := fmt.Sscan(after, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// reportOpening is what a child does that opens a large store.
func reportOpening(dir string) {
	var t testing.T
	begin := time.Now()
	s, err := Open(Options{Dir: dir})
	took := time.Since(begin)
	if err != nil {
		fmt.Println(err)
		return
	}
	opened := rss(&t)
	for i := range int64(200_000) { // read what was written, at random
		r := benchRow(1+i*7919%1_000_000, begin)
		if _, err := s.Get(ctx(), r.Key()); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("opened", took.Milliseconds(), "ms", opened>>20, "MB", rss(&t)>>20, "MB")
	_ = s.Close()
}

// BenchmarkOpen opens a store of PEBBLESTORE_ROWS sessions (default 10,000) in a
// process of its own and reports how long that takes, how much memory it has
// then, and after it has read many of them.
func BenchmarkOpen(b *testing.B) {
	rows := 10_000
	if text := os.Getenv("PEBBLESTORE_ROWS"); text != "" {
		if _, err := fmt.Sscan(text, &rows); err != nil {
			b.Fatal(err)
		}
	}
	dir := benchDir(b)
	s, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	benchID.Store(0)
	preload(b, s, rows)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	var took, opened, read int
	for b.Loop() {
		out := inChild(b, dir, "million")
		if _, err := fmt.Sscanf(out, "opened %d ms %d MB %d MB", &took, &opened, &read); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	b.ReportMetric(float64(took), "ms-open")
	b.ReportMetric(float64(opened), "MB-open")
	b.ReportMetric(float64(read), "MB-read")
}

package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/redisstore/redistest"
)

// Benchmarks play 64 clients against a server of this machine with appendonly and
// appendfsync everysec, and then let redis-benchmark run the same script on 64
// connections: "of-redis-benchmark" is the share of its calls that we reach. It is C,
// and reads no answer.

const (
	benchClients = 64
	benchRows    = 20_000
)

func bench(b *testing.B) (*redistest.Server, *Store) {
	b.Helper()
	srv := redistest.Start(b, "appendonly yes", "appendfsync everysec")
	return srv, openStore(b, Options{URL: srv.URL(0), Prefix: "bench"})
}

// clients runs op in 64 goroutines, n times in all, and reports how often in a second.
func clients(b *testing.B, op func(client, i int) error) float64 {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for client := range benchClients {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := op(client, int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	rate := float64(b.N) / time.Since(begin).Seconds()
	b.ReportMetric(rate, "ops/s")
	return rate
}

// floor runs a script in redis-benchmark, and reports what share of it we reached.
func floor(b *testing.B, srv *redistest.Server, rate float64, sc *script, key string, args ...string) {
	b.Helper()
	b.StopTimer()
	sha := strings.TrimSpace(srv.CLI(b, "SCRIPT", "LOAD", sc.text))
	all := append([]string{"-c", strconv.Itoa(benchClients), "-n", "100000", "-r", "1000000000", "--csv", "EVALSHA", sha, "1", key}, args...)
	out := srv.Bench(b, all...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	fields := strings.Split(lines[len(lines)-1], `","`)
	if len(fields) < 2 {
		b.Fatal(out)
	}
	rps, err := strconv.ParseFloat(strings.Trim(fields[1], `"`), 64)
	if err != nil {
		b.Fatal(out)
	}
	b.ReportMetric(rps, "redis-benchmark/s")
	b.ReportMetric(rate/rps, "of-redis-benchmark")
}

func BenchmarkRefresh(b *testing.B) {
	srv, s := bench(b)
	rows := make([]sessions.Session, benchRows)
	var all sync.WaitGroup
	for w := range benchClients {
		all.Go(func() {
			for i := w; i < len(rows); i += benchClients {
				rows[i] = testRow(fmt.Sprintf("row-%d", i), s.Now())
				if _, _, err := s.Create(ctx(), rows[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	var turn [benchClients]int
	b.ResetTimer()
	rate := clients(b, func(client, _ int) error {
		turn[client] = (turn[client] + 1) % (benchRows / benchClients)
		row := &rows[client+turn[client]*benchClients]
		p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Generation: row.Generation, Secret: row.Secret}
		next, _, rotated, err := s.Rotate(ctx(), &p, &sessions.Fresh{Secret: [16]byte{byte(client), byte(p.Generation)}, KeyID: "key", From: "192.0.2.1"})
		if err == nil && !rotated {
			err = fmt.Errorf("%s was not rotated", row.ID)
		}
		*row = next
		return err
	})
	// A row whose next generation is the one it has: so each call is the live one.
	row := create(b, s, testRow("again", s.Now()))
	secret := strings.Repeat("s", 16)
	copy(row.Secret[:], secret)
	if _, err := s.Update(ctx(), row.Key(), func(sessions.Session, time.Time) (sessions.Session, bool) { return row, true }); err != nil {
		b.Fatal(err)
	}
	name := escape(row.Realm) + escape(row.ID)
	floorArgs := []string{"", "0", secret, hashHolder("alice", "app"), "0", secret, "key", "192.0.2.1", ownFormat}
	copyRow(b, s, name, "plain")
	floor(b, srv, rate, s.lua.rotate, s.keys.row("plain"), floorArgs...)
	if again := get(b, s, row.Key()); again.Generation != 0 {
		b.Fatal("the row of redis-benchmark is not what it was")
	}
	if v, err := s.client.Do(ctx(), s.client.B().Hget().Key(s.keys.row("plain")).Field("v").Build()).AsInt64(); err != nil || v < 100_000 {
		b.Fatalf("redis-benchmark rotated %d times, %v", v, err)
	}
}

// copyRow gives a row a name that may stand in an argument of a program.
func copyRow(b *testing.B, s *Store, from, to string) {
	b.Helper()
	c := s.client
	if err := c.Do(ctx(), c.B().Copy().Source(s.keys.row(from)).Destination(s.keys.row(to)).Build()).Error(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCreate(b *testing.B) {
	srv, s := bench(b)
	b.ResetTimer()
	rate := clients(b, func(client, i int) (err error) {
		row := testRow(fmt.Sprintf("%d-%d", client, i), time.Time{}) // it begins now
		row.UserID = fmt.Sprint("user-", i%10_000)
		_, _, _, err = s.CreateCounted(ctx(), row)
		return err
	})
	// The same script: marks, which hold bytes that no argument of a program may, are
	// of the same length.
	row := testRow("redis-bench", s.Now())
	w, err := encode(&row)
	if err != nil {
		b.Fatal(err)
	}
	row.Secret = [16]byte([]byte("0123456789abcdef"))
	w.row.Secret, w.row.SecretPrev = row.Secret, row.Secret
	m := strings.NewReplacer("\x00", "0").Replace(string(newMark(&row, 0x4141414141414141)))
	m = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return 'x'
		}
		return r
	}, m)
	m = "__rand_int__" + m[12:]
	args := w.fields([]string{"", m, millis(row.PurgeAt()), "", millis(row.CreatedAt)})
	args[len(args)-1] = strings.Repeat("x", len(w.data))
	floor(b, srv, rate, newFloor(s), s.keys.row("bench-__rand_int__"), args...)
}

// newFloor is the script that creates, for marks without zeros: where it looks for the
// end of the realm it finds the digits in their place.
func newFloor(s *Store) *script {
	return &script{text: strings.ReplaceAll(s.lua.create.text, `'\0\0'`, `'00'`)}
}

// BenchmarkFeed is the time from the moment at which a revocation is acknowledged on
// one node to the moment at which another heard of it; 0 where that was sooner.
func BenchmarkFeed(b *testing.B) {
	_, speaker := bench(b)
	sink := newSink()
	following, cancel := context.WithCancel(ctx())
	var over sync.WaitGroup
	listener := openStore(b, Options{URL: speaker.opts.URL, Prefix: speaker.opts.Prefix})
	over.Go(func() { _ = listener.Follow(following, sink) })
	defer over.Wait()
	defer cancel()
	<-sink.readyC
	var lags []time.Duration
	for i := 0; b.Loop(); i++ {
		row := create(b, speaker, testRow(fmt.Sprint(b.N, "-", i, time.Now().UnixNano()), speaker.Now()))
		if _, _, err := speaker.Revoke(ctx(), row.Key(), sessions.EndRevoked); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		sink.wait(b, "heard", func() bool { _, heard := sink.revoked[row.Key()]; return heard })
		lags = append(lags, time.Since(begin))
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "ms-p99")
}

package redisstore

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/redisstore/redistest"
)

// Benchmarks play 64 clients against a server of this machine with appendonly and
// appendfsync everysec, and then let redis-benchmark run the same script on 64
// connections: "of-redis-benchmark" is the share of its calls that we reach. It is C,
// and reads no answer.

func bench(b *testing.B) (*redistest.Server, *Store) {
	b.Helper()
	srv := redistest.Start(b, "appendonly yes", "appendfsync everysec")
	return srv, openStore(b, Options{URL: srv.URL(0), Prefix: "bench"})
}

// floor runs a script in redis-benchmark, and reports what share of it we reached. No argument has
// zeros.
func floor(b *testing.B, srv *redistest.Server, rate float64, sc *script, key string, args ...string) {
	b.Helper()
	b.StopTimer()
	sha := strings.TrimSpace(srv.Do(b, "SCRIPT", "LOAD", sc.text))
	all := append([]string{"-c", strconv.Itoa(sharedtest.Clients), "-n", "100000", "-r", "1000000000", "--csv", "EVALSHA", sha, "1", key}, args...)
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
	rate := sharedtest.BenchmarkRefresh(b, s, func() {})
	// A row whose next generation is the one it has: so each call is the live one.
	const same = 0x4141414141414141 // without zeros
	row := sharedtest.Create(b, s, sharedtest.Row("again", s.Now()))
	secret := strings.Repeat("s", 16)
	row.Generation = same
	copy(row.Secret[:], secret)
	if _, err := s.Update(ctx(), row.Key(), func(sessions.Session, time.Time) (sessions.Session, bool) { return row, true }); err != nil {
		b.Fatal(err)
	}
	copyRow(b, s, rowID(row.Key()), "plain")
	floor(b, srv, rate, s.lua.rotate, s.keys.row("plain"),
		"", generation(same), secret, hashHolder("alice", "app"), generation(same), secret, "key", "192.0.2.1", ownFormat)
	if again := sharedtest.Get(b, s, row.Key()); again.SecretPrev == row.Secret {
		b.Fatal("the row of redis-benchmark is not what it was")
	}
	copyRow(b, s, "plain", rowID(row.Key()))
	if again := sharedtest.Get(b, s, row.Key()); again.SecretPrev != row.Secret {
		b.Fatal("redis-benchmark rotated nothing")
	}
}

// copyRow gives a row a name that may stand in an argument of a program.
func copyRow(b *testing.B, s *Store, from, to string) {
	b.Helper()
	c := s.client
	if err := c.Do(ctx(), c.B().Copy().Source(s.keys.row(from)).Destination(s.keys.row(to)).Replace().Build()).Error(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCreate(b *testing.B) {
	srv, s := bench(b)
	rate := sharedtest.BenchmarkCreate(b, s)
	row := sharedtest.Row("redis-bench", s.Now())
	w, err := encode(&row, newRef(&row, nonce()), "")
	if err != nil {
		b.Fatal(err)
	}
	// The same script, which has the row from a key: no argument of a program may hold its bytes.
	if err := s.client.Do(ctx(), s.client.B().Set().Key(s.keys.row("floor")).Value(w.value).Build()).Error(); err != nil {
		b.Fatal(err)
	}
	sc := &script{text: strings.ReplaceAll(s.lua.create.text, "ARGV[5]", "call('GET', P .. 'row:floor')")}
	floor(b, srv, rate, sc, s.keys.row(hashRealm(row.Realm)+"bench-__rand_int__"), "", "label", row.Realm, millis(row.CreatedAt))
}

func BenchmarkFeed(b *testing.B) {
	_, speaker := bench(b)
	sharedtest.BenchmarkFeed(b, speaker, openStore(b, Options{URL: speaker.opts.URL, Prefix: speaker.opts.Prefix}))
}

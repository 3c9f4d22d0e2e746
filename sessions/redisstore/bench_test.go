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

// floor runs a script in redis-benchmark, and reports what share of it we reached.
func floor(b *testing.B, srv *redistest.Server, rate float64, sc *script, key string, args ...string) {
	b.Helper()
	b.StopTimer()
	sha := strings.TrimSpace(srv.CLI(b, "SCRIPT", "LOAD", sc.text))
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
	row := sharedtest.Create(b, s, sharedtest.Row("again", s.Now()))
	secret := strings.Repeat("s", 16)
	copy(row.Secret[:], secret)
	if _, err := s.Update(ctx(), row.Key(), func(sessions.Session, time.Time) (sessions.Session, bool) { return row, true }); err != nil {
		b.Fatal(err)
	}
	name := escape(row.Realm) + escape(row.ID)
	floorArgs := []string{"", "0", secret, hashHolder("alice", "app"), "0", secret, "key", "192.0.2.1", ownFormat}
	copyRow(b, s, name, "plain")
	floor(b, srv, rate, s.lua.rotate, s.keys.row("plain"), floorArgs...)
	if again := sharedtest.Get(b, s, row.Key()); again.Generation != 0 {
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
	rate := sharedtest.BenchmarkCreate(b, s)
	// The same script: marks, which hold bytes that no argument of a program may, are
	// of the same length.
	row := sharedtest.Row("redis-bench", s.Now())
	w, err := encode(&row)
	if err != nil {
		b.Fatal(err)
	}
	row.Secret = [16]byte([]byte("0123456789abcdef"))
	w.Session.Secret, w.Session.SecretPrev = row.Secret, row.Secret
	m := strings.NewReplacer("\x00", "0").Replace(string(newMark(&row, 0x4141414141414141)))
	m = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return 'x'
		}
		return r
	}, m)
	m = "__rand_int__" + m[12:]
	args := w.fields([]string{"", m, millis(row.PurgeAt()), "", millis(row.CreatedAt)})
	args[len(args)-1] = strings.Repeat("x", len(w.Data))
	floor(b, srv, rate, newFloor(s), s.keys.row("bench-__rand_int__"), args...)
}

// newFloor is the script that creates, for marks without zeros: where it looks for the
// end of the realm it finds the digits in their place.
func newFloor(s *Store) *script {
	return &script{text: strings.ReplaceAll(s.lua.create.text, `'\0\0'`, `'00'`)}
}

func BenchmarkFeed(b *testing.B) {
	_, speaker := bench(b)
	sharedtest.BenchmarkFeed(b, speaker, openStore(b, Options{URL: speaker.opts.URL, Prefix: speaker.opts.Prefix}))
}

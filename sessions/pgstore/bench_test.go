package pgstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/pgstore/pgtest"
)

// Benchmarks play 64 clients against a server of this machine, with fsync on, and then
// let pgbench do the same transition on as many connections: "of-pgbench" is the share
// of its transactions that we reach. PGSTORE_BENCH_DIR is where the data is, if the
// directory for temporary files is in memory.

const (
	benchClients = 64
	benchRows    = 20_000
)

var transactions = regexp.MustCompile(`tps = ([0-9.]+)`)

// bench starts a server and opens a store in it.
func bench(b *testing.B) (*pgtest.Server, *Store) {
	b.Helper()
	srv := pgtest.StartIn(b, os.Getenv("PGSTORE_BENCH_DIR"), "shared_buffers = '512MB'", "max_wal_size = '4GB'")
	return srv, openStore(b, Options{DSN: srv.DSN("postgres"), Schema: "bench"})
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

// floor runs pgbench with a script for three seconds, and reports what share of it we
// reached.
func floor(b *testing.B, srv *pgtest.Server, rate float64, mode, script string) {
	b.Helper()
	b.StopTimer()
	name := filepath.Join(b.TempDir(), "script.sql")
	if err := os.WriteFile(name, []byte(script), 0o600); err != nil {
		b.Fatal(err)
	}
	out := srv.Bench(b, "postgres", "-n", "-M", mode, "-c", strconv.Itoa(defaultMaxConns), "-j", "2", "-T", "3", "-f", name)
	found := transactions.FindStringSubmatch(out)
	if found == nil {
		b.Fatal(out)
	}
	tps, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(tps, "pgbench-"+mode+"/s")
	b.ReportMetric(rate/tps, "of-pgbench-"+mode)
}

func BenchmarkRefresh(b *testing.B) {
	srv, s := bench(b)
	rows := make([]sessions.Session, benchRows)
	for i := range rows {
		rows[i] = testRow(fmt.Sprintf("row-%d", i), s.Now())
	}
	var all sync.WaitGroup
	for w := range benchClients {
		all.Go(func() {
			for i := w; i < len(rows); i += benchClients {
				if _, _, err := s.Create(ctx(), rows[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	srv.Exec(b, "postgres", "VACUUM ANALYZE bench.sessions")
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
	script := strings.NewReplacer("{s}", "bench", "{now}", strings.ReplaceAll(now, "$1", "NULL"), "{columns}", columns).Replace(`\set i random(0, 19999)
\set c random(0, 255)
UPDATE {s}.sessions SET generation = generation + 1, secret_prev = secret, secret = decode(lpad(to_hex(:c::int), 32, '0'), 'hex'), kid = 'key', rotated_from = '192.0.2.1',
	rotated_at = greatest(rotated_at, clock.ms), rev = rev + 1
FROM {now}
WHERE realm = 'https://app.example.com' AND id = convert_to('row-' || :i, 'UTF8') AND generation >= 0 AND secret <> '' AND holder <> ''
	AND format <= 1 AND revoked_at IS NULL AND clock.ms < expires_at AND clock.ms < rotated_at + idle
RETURNING clock.ms, {columns};
`)
	floor(b, srv, rate, "extended", script)
	floor(b, srv, rate, "prepared", script)
}

func BenchmarkCreate(b *testing.B) {
	for name, counted := range map[string]bool{"plain": false, "counted": true} {
		b.Run(name, func(b *testing.B) { benchmarkCreate(b, counted) })
	}
}

func benchmarkCreate(b *testing.B, counted bool) {
	srv, s := bench(b)
	b.ResetTimer()
	rate := clients(b, func(client, i int) (err error) {
		row := testRow(fmt.Sprintf("%d-%d", client, i), time.Time{}) // it begins now
		row.UserID = fmt.Sprint("user-", i%10_000)
		if counted {
			_, _, _, err = s.CreateCounted(ctx(), row)
		} else {
			_, _, err = s.Create(ctx(), row)
		}
		return err
	})
	script := strings.NewReplacer("{s}", "bench").Replace(`\set i random(0, 100000000000)
\set u random(0, 9999)
INSERT INTO {s}.sessions (realm, id, rev, format, holder, expires_at, idle, due_at, generation, secret, secret_prev, kid, rotated_at, rotated_from,
	end_reason, data, user_key, actor_key, impersonation, created_at)
SELECT 'https://app.example.com', convert_to('pgbench-' || :i, 'UTF8'), 1, 1, decode(md5('h'), 'hex'), ms + 86400000, 3600000, ms + 3600000, 0,
	decode(md5('s'), 'hex'), decode(md5('p'), 'hex'), 'key', ms, '192.0.2.1', '', convert_to(repeat('x', 300), 'UTF8'), decode(md5('u' || :u), 'hex'),
	decode(md5('a' || :u), 'hex'), false, ms
FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms) AS clock
ON CONFLICT (realm, id) DO NOTHING RETURNING realm;
`)
	floor(b, srv, rate, "extended", script)
	floor(b, srv, rate, "prepared", script)
}

// BenchmarkFeed is the time from the moment at which a revocation is acknowledged on
// one node to the moment at which another heard of it; 0 where that was sooner.
func BenchmarkFeed(b *testing.B) {
	_, speaker := bench(b)
	for name, opts := range map[string]Options{"listening": {}, "polling": {Poll: true}} {
		b.Run(name, func(b *testing.B) {
			opts.DSN, opts.Schema = speaker.opts.DSN, "bench"
			sink := newSink()
			following, cancel := context.WithCancel(ctx())
			var over sync.WaitGroup
			listener := openStore(b, opts)
			over.Go(func() { _ = listener.Follow(following, sink) })
			defer over.Wait()
			defer cancel()
			<-sink.readyC
			var lags []time.Duration
			for i := 0; b.Loop(); i++ {
				row := create(b, speaker, testRow(fmt.Sprint(name, b.N, "-", i, time.Now().UnixNano()), speaker.Now()))
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
		})
	}
}

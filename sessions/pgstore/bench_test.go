package pgstore

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/pgstore/pgtest"
)

// Benchmarks play 64 clients against a server of this machine, with fsync on, and then
// let pgbench do the same transition on as many connections: "of-pgbench" is the share
// of its transactions that we reach. AUTHSIDECAR_BENCH_DIR is where the data is, if the
// directory for temporary files is in memory.

var transactions = regexp.MustCompile(`tps = ([0-9.]+)`)

// bench starts a server and opens a store in it.
func bench(b *testing.B) (*pgtest.Server, *Store) {
	b.Helper()
	srv := pgtest.StartIn(b, os.Getenv("AUTHSIDECAR_BENCH_DIR"), "fsync = on", "full_page_writes = on", "wal_init_zero = on", "bgwriter_lru_maxpages = 100", "jit = on",
		"shared_buffers = '512MB'", "max_wal_size = '4GB'")
	return srv, openStore(b, Options{DSN: srv.DSN("postgres"), Schema: "bench", Wait: time.Minute, Timeout: 10 * time.Minute})
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
	rate := sharedtest.BenchmarkRefresh(b, s, func() { srv.Exec(b, "postgres", "VACUUM ANALYZE bench.sessions") })
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
	srv, s := bench(b)
	rate := sharedtest.BenchmarkCreate(b, s)
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

func BenchmarkFeed(b *testing.B) {
	_, speaker := bench(b)
	for name, poll := range map[string]bool{"listening": false, "polling": true} {
		b.Run(name, func(b *testing.B) {
			sharedtest.BenchmarkFeed(b, speaker, openStore(b, Options{DSN: speaker.opts.DSN, Schema: "bench", Poll: poll}))
		})
	}
}

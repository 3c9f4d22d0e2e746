package pgstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/storetest/servertest"
)

// BenchmarkSize fills a table with sessions, as many as AUTHSIDECAR_BENCH_ROWS says (200,000), and reports how many
// bytes each takes in the table and in each index: those of a quarter as many people who signed in,
// one in ten impersonated by one of a hundred. A tenth of them is refreshed then, one by one, and
// hot-% of that wrote no index.
func BenchmarkSize(b *testing.B) {
	n := sharedtest.BenchRows(b, 200_000)
	srv, s := bench(b)
	fillReal(b, s, n, false)
	fillReal(b, s, n/10, true)
	srv.Exec(b, "postgres", "VACUUM ANALYZE bench.sessions")
	total := 0.0
	for line := range strings.Lines(srv.Exec(b, "postgres", `SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace
		WHERE nspname = 'bench' AND relname LIKE 'sessions%' ORDER BY relname`)) {
		name, size, _ := strings.Cut(strings.TrimSpace(line), "|")
		bytes, err := strconv.ParseFloat(size, 64)
		if err != nil {
			b.Fatal(err)
		}
		bytes /= float64(n + n/10)
		total += bytes
		b.ReportMetric(bytes, name+"-B")
	}
	b.ReportMetric(total, "B/session")
	srv.Exec(b, "postgres", `DO $$ DECLARE one bytea; BEGIN PERFORM set_config('synchronous_commit', 'off', false); FOR i IN 1..`+strconv.Itoa(n/10)+` LOOP
		one := convert_to(substr(translate(encode(sha256((1 + random() * `+strconv.Itoa(n-2)+`)::int::text::bytea), 'base64'), '+/', '-_'), 1, 22), 'UTF8');
		UPDATE bench.sessions SET rotated_at = rotated_at + 1, secret = substr(sha256(i::text::bytea), 1, 16) WHERE realm = 'https://app.example.com' AND id = one;
		COMMIT; END LOOP; END $$`)
	b.ReportMetric(0, "ns/op")
	var hot float64
	servertest.Until(b, "the updates are counted", func() error { // when the connection ends, or a second later
		got := srv.Exec(b, "postgres", "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'")
		var updates int
		if _, err := fmt.Sscanf(got, "%d|%f", &updates, &hot); err != nil || updates != n/10 {
			return fmt.Errorf("of %d updates: %s", n/10, got)
		}
		return nil
	})
	b.ReportMetric(100*hot/float64(n/10), "hot-%")
}

// fillReal is fill with sessions as a sign-in makes them.
func fillReal(b *testing.B, s *Store, n int, impersonation bool) {
	b.Helper()
	row := sharedtest.Row("", s.Now())
	row.UserID, row.ClientID, row.IP, row.RotatedFrom = "01890a5d-ac96-774b-bcce-b302099a8057", "app", "192.0.2.17", "192.0.2.17"
	row.UserAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	row.KeyID, row.Rule = "Rk3Zc7oXwYy0C2hU1vB5xA", "self"
	row.Actor = sessions.Principal{Issuer: "https://idp.example.com", Subject: row.UserID}
	row.ActorSub, row.ActorSID = row.UserID, "b02ba3a5-63d4-4a66-9c5c-3ad4c1e1c7a9"
	row.Impersonation = impersonation
	if impersonation {
		row.Rule, row.Reason = "support", "ticket 4711"
	}
	w, err := encode(&row)
	if err != nil {
		b.Fatal(err)
	}
	a := s.timed(slices.Concat([]any{row.Realm, fmt.Sprint(impersonation), n}, w.changing(), w.lasting())...)
	err = s.exec(ctx(), strings.ReplaceAll(`INSERT INTO {s}.sessions (realm, id, rev, format, holder, expires_at, idle, due_at, generation, secret,
	secret_prev, kid, rotated_at, rotated_from, revoked_at, end_reason, data, user_key, actor_key, impersonation, created_at, sid_name, sub_name)
SELECT $2, convert_to(substr(translate(encode(sha256(decode(CASE WHEN $21 THEN '78' ELSE '' END, 'hex') || i::text::bytea), 'base64'), '+/', '-_'), 1, 22), 'UTF8'), 1, $5,
	substr(sha256(($3::bytea || i::text::bytea)), 1, 16), $7, $8, $9::bigint + i, $10, $11, $12, $13, $14, $15, $16, $17, $18,
	substr(sha256((i % ($4::bigint / 4))::text::bytea), 1, 16), CASE WHEN $21 THEN substr(sha256((i % 100)::text::bytea), 1, 16) ELSE substr(sha256((i % ($4::bigint / 4))::text::bytea), 1, 16) END,
	$21, $22::bigint + i, convert_to(substr(encode(sha256((i * 3)::text::bytea), 'base64'), 1, 22), 'UTF8'), convert_to(substr(encode(sha256((i % ($4::bigint / 4))::text::bytea), 'base64'), 1, 22), 'UTF8')
FROM generate_series(1, $4::bigint) AS i, (SELECT $1::bigint, $6::bytea, $19::bytea, $20::bytea, $23::bytea, $24::bytea) AS unused`, "{s}", s.sql.schema), a)
	if err != nil {
		b.Fatal(err)
	}
}

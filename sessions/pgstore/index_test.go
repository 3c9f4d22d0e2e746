package pgstore

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
)

// A recorder remembers what is said to the server.
type recorder struct {
	mu   sync.Mutex
	said []said
}

type said struct {
	sql  string
	args []any
}

func (r *recorder) record(sql string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, said{sql, slices.Clone(args)})
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	r.record(q.SQL, q.Args)
	return ctx
}

func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, b pgx.TraceBatchStartData) context.Context {
	for _, q := range b.Batch.QueuedQueries {
		r.record(q.SQL, q.Arguments)
	}
	return ctx
}

func (*recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (*recorder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// take returns what was said since the last time.
func (r *recorder) take() []said {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.said
	r.said = nil
	return all
}

// recorded opens a store whose statements are recorded.
func recorded(t *testing.T) (*Store, *recorder) {
	t.Helper()
	s, rec := openStore(t, Options{Timeout: time.Minute}), new(recorder)
	config := s.pool.Config()
	config.ConnConfig.Tracer = rec
	pool, err := pgxpool.NewWithConfig(ctx(), config)
	if err != nil {
		t.Fatal(err)
	}
	s.pool.Close()
	s.pool = pool
	return s, rec
}

// queries are what is asked of the table of sessions, under the names that the page of stores has.
func queries(s *Store) map[string]func() error {
	yes, no := true, false
	row, actor := sharedtest.Row("asked", s.Now()), sessions.Principal{Issuer: "https://idp.example.com", Subject: "support"}
	list := func(query sessions.Query) func() error {
		query.Realm, query.Limit = row.Realm, 20
		return func() error {
			_, err := s.List(ctx(), query)
			return err
		}
	}
	return map[string]func() error{
		"create": func() error {
			_, _, _, err := s.Create(ctx(), sharedtest.Row("begins", time.Time{}))
			return err
		},
		"copy into": func() error {
			ended := sharedtest.Row("ended", s.Now())
			ended.RevokedAt = s.Now()
			_, _, _, err := s.Create(ctx(), row)
			if err == nil {
				_, _, _, err = s.Create(ctx(), ended)
			}
			return err
		},
		"refresh": func() error {
			_, _, _, err := s.Rotate(ctx(), sharedtest.Token(&row), &sessions.Fresh{KeyID: "k"})
			return err
		},
		"read and change": func() error {
			for _, at := range []time.Time{{}, s.Now()} {
				_, err := s.Update(ctx(), row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
					row.RevokedAt = at
					return row, true
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
		"revoke": func() error {
			_, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
			return err
		},
		"list of a user":         list(sessions.Query{User: "alice"}),
		"list of a user, own":    list(sessions.Query{User: "alice", Impersonations: &no, KeysOnly: true}),
		"list of an actor":       list(sessions.Query{Actor: &actor, Impersonations: &yes}),
		"list of impersonations": list(sessions.Query{Impersonations: &yes}),
		"log out by sid or sub":  func() error { return named(s, row.Realm) },
		"sweep":                  func() error { _, err := s.Sweep(ctx(), 100, nil); return err },
		"copy from, by the key":  func() error { _, err := s.Scan(ctx(), "", 100); return err },
		"which realms there are": func() error { _, err := s.Realms(ctx()); return err },
	}
}

func named(s *Store, realm string) error {
	err := s.Named(ctx(), realm, "sid-1", func([]sessions.Session) error { return nil })
	if err == nil {
		_, err = s.live(ctx(), realm, []string{"a", "b"})
	}
	return err
}

var (
	usesIndex = regexp.MustCompile(`(?:using|Index Scan on|Arbiter Indexes:) (sessions\w*)`)
	scansAll  = regexp.MustCompile(`Seq Scan on sessions`)
	tableRow  = regexp.MustCompile(`(?m)^\| ([^|]+?) \| ((?:` + "`sessions_\\w+`" + `(?:, )?)+) \|$`)
)

// explain returns which indexes of sessions a statement needs, where the server chooses freely.
func explain(t *testing.T, conn *pgx.Conn, q said) []string {
	t.Helper()
	rows, err := conn.Query(ctx(), "EXPLAIN "+q.sql, q.args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(q.sql, err)
	}
	plan := strings.Join(lines, "\n")
	if scansAll.MatchString(plan) {
		t.Errorf("all sessions are read by\n%s\n%s", q.sql, plan)
	}
	var names []string
	for _, found := range usesIndex.FindAllStringSubmatch(plan, -1) {
		names = append(names, found[1])
	}
	return names
}

// TestEachQueryHasItsIndexAndEachIndexItsQuery says everything that the store says to the table of
// sessions: none of it reads the whole table, and the page of stores has which index it needs.
func TestEachQueryHasItsIndexAndEachIndexItsQuery(t *testing.T) {
	t.Parallel()
	s, rec := recorded(t)
	fill(t, s, "own-", 20_000, func(row *sessions.Session) { row.UserID, row.Idle = "", 20*time.Hour })
	fill(t, s, "of-others-", 10_000, func(row *sessions.Session) { row.Realm, row.UserID, row.Idle = "another", "", 20*time.Hour })
	fill(t, s, "support-", 3_000, func(row *sessions.Session) { row.Impersonation, row.UserID, row.Idle = true, "", 20*time.Hour })
	fill(t, s, "due-", 1_000, func(row *sessions.Session) { row.UserID, row.Idle = "", time.Millisecond })
	for _, sql := range []string{
		`UPDATE {s}.sessions SET sid_name = convert_to('sid-', 'UTF8') || id, sub_name = convert_to('sub-', 'UTF8') || user_key`,
		`VACUUM ANALYZE {s}.sessions`,
	} {
		server(t).Exec(t, "postgres", strings.ReplaceAll(sql, "{s}", s.sql.schema))
	}
	conn, err := pgx.Connect(ctx(), server(t).DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	page, err := os.ReadFile("../../caddymodule/docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, row := range tableRow.FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2]
	}
	rec.take()
	seen, used := make(map[string]bool), make(map[string]bool)
	all := queries(s)
	for _, name := range order(all) {
		if err := all[name](); err != nil {
			t.Fatal(name, err)
		}
		var need []string
		for _, q := range rec.take() {
			seen[q.sql] = true
			if strings.Contains(q.sql, s.sql.schema+".sessions") {
				need = append(need, explain(t, conn, q)...)
			}
		}
		slices.Sort(need)
		need = slices.Compact(need)
		for _, index := range need {
			used[index] = true
		}
		if want := "`" + strings.Join(need, "`, `") + "`"; documented[name] != want {
			t.Errorf("the page has not: | %s | %s |", name, want)
		}
		delete(documented, name)
	}
	for _, before := range ofVersion3 { // which may still run
		sql := strings.NewReplacer("{s}", s.sql.schema, "{columns}", columns).Replace(before)
		if need := explain(t, conn, said{sql, []any{[]byte("https://app.example.com"), []byte("one")}}); len(need) == 0 {
			t.Errorf("no index is there for %s", sql)
		}
	}
	if len(documented) > 0 {
		t.Errorf("the page has more queries: %v", documented)
	}
	wantAllSaid(t, s, seen)
	for index := range strings.Lines(server(t).Exec(t, "postgres", "SELECT indexname FROM pg_indexes WHERE tablename = 'sessions' AND schemaname = '"+strings.ReplaceAll(s.opts.Schema, "'", "''")+"'")) {
		if index = strings.TrimSpace(index); !used[index] {
			t.Errorf("no query needs the index %s", index)
		}
	}
}

// ofVersion3 is what the release that knows version 3 says to the table, where it differs.
var ofVersion3 = []string{
	"SELECT count(*) FROM (SELECT 1 FROM {s}.sessions WHERE realm = $1 AND user_key = $2 AND impersonation = false AND revoked_at IS NULL LIMIT 1001) AS others",
	"SELECT id, {columns} FROM {s}.sessions WHERE realm = $1 AND revoked_at IS NULL AND NOT impersonation AND user_key = $2 ORDER BY created_at DESC, id DESC LIMIT 51",
	"SELECT id, {columns} FROM {s}.sessions WHERE realm = $1 AND revoked_at IS NULL AND impersonation AND actor_key = $2 ORDER BY created_at DESC, id DESC LIMIT 51",
	"SELECT id, {columns} FROM {s}.sessions WHERE realm = $1 AND revoked_at IS NULL AND impersonation AND ((created_at + 0), id) < (1, $2) ORDER BY (created_at + 0) DESC, id DESC LIMIT 51",
	"SELECT id FROM {s}.sessions WHERE realm = $1 AND sid_name = $2 AND revoked_at IS NULL UNION ALL SELECT id FROM {s}.sessions WHERE realm = $1 AND sub_name = $2 AND revoked_at IS NULL",
}

// order is the order in which queries find what they need.
func order(all map[string]func() error) []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names) // "copy into" comes before what changes the session
	return names
}

// wantAllSaid expects that each statement on sessions was said.
func wantAllSaid(t *testing.T, s *Store, seen map[string]bool) {
	t.Helper()
	for i, sql := range s.sql.texts {
		if table := s.sql.schema + ".sessions"; strings.Contains(sql, table) && !slices.Contains(migrations, statement(i)) && !seen[sql] {
			t.Errorf("the test does not say %s", sql)
		}
	}
}

package pgstore

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/internal/storedrow"
	"authsidecar/sessions/storetest/servertest"
)

// fill puts n sessions into the database behind the store's back: created a second
// apart, for a user each hundred of them share, or for one.
func fill(t testing.TB, s *Store, prefix string, n int, change func(*sessions.Session)) {
	t.Helper()
	row := sharedtest.Row(prefix, s.Now().Add(-time.Hour))
	change(&row)
	w, err := encode(&row)
	if err != nil {
		t.Fatal(err)
	}
	a := s.timed(slices.Concat([]any{row.Realm, row.ID, n}, w.changing(), w.lasting())...)
	err = s.exec(ctx(), strings.ReplaceAll(`INSERT INTO {s}.sessions (realm, id, rev, format, holder, expires_at, idle, due_at, generation, secret,
	secret_prev, kid, rotated_at, rotated_from, revoked_at, end_reason, data, user_key, actor_key, impersonation, created_at)
SELECT $2, $3::bytea || convert_to(to_char(i * 7919 % 1000003, 'FM0000000'), 'UTF8'), $4::bigint, $5, $6, $7, $8, $9::bigint + i, $10, $11, $12, $13, $14, $15, $16, $17, $18,
	CASE WHEN $19 = ''::bytea THEN decode(md5((i / 100)::text), 'hex') ELSE $19::bytea END, $20, $21, $22::bigint + i
FROM generate_series(1, $4::bigint) AS i, (SELECT $1::bigint, $23::bytea, $24::bytea) AS unused`, "{s}", s.sql.schema), a)
	if err != nil {
		t.Fatal(err)
	}
}

var buffers = regexp.MustCompile(`(?:hit|read)=(\d+)`)

// pages says EXPLAIN ANALYZE and returns how many pages of the database the statement
// looked at, and the plan.
func pages(t *testing.T, s *Store, sql string, a []any) (int, string) {
	t.Helper()
	var plan []string
	line := ""
	err := s.query(ctx(), "EXPLAIN (ANALYZE, BUFFERS) "+sql, a, func() error { plan = append(plan, line); return nil }, &line)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	n := 0
	for _, line := range plan {
		if strings.Contains(line, "Buffers: shared") {
			for _, found := range buffers.FindAllStringSubmatch(line, -1) {
				pages, _ := strconv.Atoi(found[1])
				n += pages
			}
			return n, text // of the whole
		}
	}
	t.Fatalf("no buffers in\n%s", text)
	return 0, ""
}

// TestListingAndSweepingStayFlat asks a table of 160,000 rows, before and after
// the server knows what is in it, and counts the pages that are looked at.
func TestListingAndSweepingStayFlat(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{Timeout: time.Minute})
	actor := sessions.Principal{Issuer: "https://idp.example.com", Subject: "busy"}
	everybody := func(row *sessions.Session) { row.Idle = 20 * time.Hour }
	fill(t, s, "many-", 60_000, func(row *sessions.Session) { everybody(row); row.UserID = "many" })
	fill(t, s, "support-", 20_000, func(row *sessions.Session) { everybody(row); row.Impersonation, row.Actor = true, actor })
	fill(t, s, "revoked-", 60_000, func(row *sessions.Session) {
		everybody(row)
		row.UserID, row.Impersonation, row.Actor, row.RevokedAt = "many", true, actor, s.Now()
	})
	fill(t, s, "due-", 20_000, func(row *sessions.Session) { row.UserID, row.Idle = "gone", time.Millisecond })
	few := sharedtest.Create(t, s, sharedtest.Row("few", s.Now()))
	yes := true
	for _, known := range []bool{false, true} {
		if known {
			server(t).Exec(t, "postgres", "VACUUM ANALYZE "+s.sql.schema+".sessions")
		}
		for name, query := range map[string]sessions.Query{
			"of a user with 60,000":             {User: "many"},
			"of a user with one":                {User: few.UserID},
			"of an actor with 20,000":           {Actor: &actor},
			"of all 20,000 impersonations":      {Impersonations: &yes},
			"of a user, his impersonations":     {User: "many", Impersonations: &yes},
			"of a user by an actor":             {User: "alice", Actor: &actor},
			"of a user, his keys alone":         {User: "many", KeysOnly: true},
			"of an actor who never did a thing": {Actor: &sessions.Principal{Subject: "nobody"}},
		} {
			query.Realm, query.Limit = few.Realm, 50
			for _, after := range []*place{nil, {created: millis(few.CreatedAt.Add(-time.Hour)) + 900, id: "m"}} {
				sel := selection{query: &query, args: args(query.Realm), limit: query.Limit}
				if n, plan := pages(t, s, sel.sql(s.sql.schema, after), sel.args); n > 300 {
					t.Errorf("known %t: a page %s looks at %d pages of the database:\n%s", known, name, n, plan)
				}
			}
		}
		row := sharedtest.Row(fmt.Sprint("counted", known), s.Now())
		row.UserID = "many"
		w, err := encode(&row)
		if err != nil {
			t.Fatal(err)
		}
		counting := insertion{store: s, w: w}
		if n, plan := pages(t, s, s.text(sqlCreate), counting.args()); n > 2*maxCounted {
			t.Errorf("known %t: counting looks at %d pages:\n%s", known, n, plan)
		}
		if n, plan := pages(t, s, s.text(sqlSweep), s.timed(100, storedrow.KeptRevoked)); n > 3000 {
			t.Errorf("known %t: sweeping 100 rows looks at %d pages:\n%s", known, n, plan)
		}
		if n, plan := pages(t, s, s.text(sqlLog), s.timed(0, "", "", 10)); n > 50 {
			t.Errorf("known %t: reading the log looks at %d pages:\n%s", known, n, plan)
		}
	}
}

// TestARotationWritesNoIndex counts the updates that PostgreSQL calls HOT. It is alone: a page keeps
// old rows as long as somebody else reads beside it.
func TestARotationWritesNoIndex(t *testing.T) {
	s := openStore(t, Options{MaxConns: 1})
	row := sharedtest.Create(t, s, sharedtest.Row("hot", s.Now()))
	const rotations = 200
	for range rotations {
		p := *sharedtest.Token(&row)
		var rotated bool
		var err error
		if row, _, rotated, err = s.Rotate(ctx(), &p, &sessions.Fresh{Secret: [16]byte{byte(p.Generation)}, KeyID: "key"}); err != nil || !rotated {
			t.Fatal(rotated, err)
		}
	}
	// What a connection did is counted when it ends, or a second later.
	s.pool.Reset()
	servertest.Until(t, "the updates are counted", func() error {
		got := server(t).Exec(t, "postgres", "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions' AND quote_ident(schemaname) = '"+
			strings.ReplaceAll(s.sql.schema, "'", "''")+"'")
		if got != fmt.Sprintf("%d|%d", rotations, rotations) {
			return fmt.Errorf("updates, and those of them that wrote no index: %s", got)
		}
		return nil
	})
}

package pgstore

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
)

var update = flag.Bool("update", false, "write what this release stores into testdata")

func TestTenNodesThatStartAtOnceMakeOneSchema(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{newSchema(), "UPPER lower", `a"b.c`, "select", strings.Repeat("x", 63)} {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				s, err := Open(ctx(), Options{DSN: server(t).DSN("postgres"), Schema: schema})
				if err != nil {
					t.Errorf("%q: %v", schema, err)
					return
				}
				defer func() { _ = s.Close() }()
				if _, err := s.Get(ctx(), sessions.Key{Realm: "r", ID: "nobody"}); !errors.Is(err, sessions.ErrNotFound) {
					t.Errorf("%q: %v", schema, err)
				}
			})
		}
		all.Wait()
		name := pgx.Identifier{schema}.Sanitize()
		if got := server(t).Exec(t, "postgres", "SELECT count(*), min(version) FROM "+name+".version"); got != fmt.Sprintf("1|%d", schemaVersion) {
			t.Errorf("%q: the version is stored as %s", schema, got)
		}
	}
}

// Whoever only wants to read a store does not make one by a slip of the pen.
func TestMustExist_MakesNothing(t *testing.T) {
	made := openStore(t, Options{})
	empty := newSchema()
	schemas := func() string {
		return server(t).Exec(t, "postgres", "SELECT count(*) FROM pg_catalog.pg_namespace")
	}
	before := schemas()
	if _, err := Open(ctx(), Options{DSN: server(t).DSN("postgres"), Schema: empty, MustExist: true}); !errors.Is(err, sessions.ErrNoStore) {
		t.Errorf("no schema: %v", err)
	}
	if after := schemas(); after != before {
		t.Error("a schema was made")
	}
	name := pgx.Identifier{empty}.Sanitize()
	server(t).Exec(t, "postgres", "CREATE SCHEMA "+name)
	if _, err := Open(ctx(), Options{DSN: server(t).DSN("postgres"), Schema: empty, MustExist: true}); !errors.Is(err, sessions.ErrNoStore) {
		t.Errorf("a schema without tables: %v", err)
	}
	if got := server(t).Exec(t, "postgres", "SELECT count(*) FROM information_schema.tables WHERE table_schema = '"+empty+"'"); got != "0" {
		t.Errorf("%s tables were made", got)
	}
	log := new(servertest.Log)
	openStore(t, Options{Schema: made.opts.Schema, MustExist: true, Log: logger(log)})
	if strings.Contains(log.String(), "a new one is made") {
		t.Errorf("the log says %s", log)
	}
	if openStore(t, Options{Log: logger(log)}); !strings.Contains(log.String(), "there was no session store: a new one is made") {
		t.Errorf("the log says %s", log)
	}
}

func TestLocation_SaysWhereAndNotWhoMay(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://sidecar:hunter2@db.example.com/app":                        "db.example.com:5432, database app, schema s",
		"host=a,b port=5433 user=x password=hunter2 dbname=app sslmode=prefer": "a:5433,b:5433, database app, schema s",
		"host=/run/postgresql user=x dbname=app":                               "/run/postgresql:5432, database app, schema s",
		"postgres://x:hunter2@[nowhere":                                        "",
	} {
		if got := (Options{DSN: dsn, Schema: "s"}).Location(); got != want {
			t.Errorf("%s: %q", dsn, got)
		}
	}
}

// TestASchemaOfANewerReleaseIsLeftAlone, unless it says that this one may go on.
func TestASchemaOfANewerReleaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	first := openStore(t, Options{})
	row := sharedtest.Create(t, first, sharedtest.Row("one", first.Now()))
	for _, c := range []struct {
		oldest int
		want   error
	}{{schemaVersion, nil}, {schemaVersion + 1, ErrNewer}} {
		server(t).Exec(t, "postgres", fmt.Sprintf("UPDATE %s.version SET version = %d, oldest = %d", first.sql.schema, schemaVersion+1, c.oldest))
		s, err := Open(ctx(), Options{DSN: server(t).DSN("postgres"), Schema: first.opts.Schema})
		if !errors.Is(err, c.want) {
			t.Errorf("opening a schema for releases from %d on: %v, not %v", c.oldest, err, c.want)
		}
		if err == nil {
			sharedtest.Get(t, s, row.Key())
			_ = s.Close()
		}
	}
	if got := server(t).Exec(t, "postgres", "SELECT version FROM "+first.sql.schema+".version"); got != fmt.Sprint(schemaVersion+1) {
		t.Errorf("the schema went back to version %s", got)
	}
}

// TestTheRightsThatAreDocumentedSuffice plays the two roles of the package's
// documentation: one that makes the schema, and one that may use it only.
func TestTheRightsThatAreDocumentedSuffice(t *testing.T) {
	t.Parallel()
	srv := server(t)
	schema := newSchema()
	name := pgx.Identifier{schema}.Sanitize()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, sql, found := strings.Cut(string(doc), "//	CREATE ROLE owner")
	sql, _, ends := strings.Cut(sql, "\n//\n")
	if !found || !ends {
		t.Fatal("the documentation has no SQL of roles")
	}
	sql = strings.ReplaceAll("CREATE ROLE owner"+sql, "\n//	", "\n")
	grants := strings.NewReplacer("auth_sessions", name, "owner", "owner_of_sessions", "sidecar", "user_of_sessions", "'...'", "'secret'", "app", "sessions_roles").Replace(sql)
	srv.Exec(t, "postgres", "CREATE DATABASE sessions_roles")
	srv.Exec(t, "sessions_roles", "REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE CREATE ON DATABASE sessions_roles FROM PUBLIC;"+grants)

	user := Options{DSN: srv.DSNOf("sessions_roles", "user_of_sessions", "secret"), Schema: schema}
	_, err = Open(ctx(), user)
	if !errors.Is(err, sessions.ErrUnavailable) || code(err) != codePrivilege || strings.Contains(err.Error(), "secret") {
		t.Errorf("who may not make the schema gets: %v", err)
	}
	owner, err := Open(ctx(), Options{DSN: srv.DSNOf("sessions_roles", "owner_of_sessions", "secret"), Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	_ = owner.Close()
	s := openStore(t, user)
	sharedtest.Everything(t, s)
	for _, sql := range []string{
		"DROP TABLE " + name + ".sessions", "CREATE TABLE " + name + ".mine (x int)", "TRUNCATE " + name + ".sessions",
		"CREATE TABLE public.mine (x int)",
	} {
		if err := s.exec(ctx(), sql, nil); code(err) != codePrivilege {
			t.Errorf("the role may %s: %v", sql, err)
		}
	}
}

// golden is what this release writes, goldenV3 what that of schema 3 did, goldenV1 what those of 1 and 2.
const (
	golden   = "testdata/rows_v4.sql"
	goldenV3 = "testdata/rows_v3.sql"
	goldenV1 = "testdata/rows_v1.sql"
)

// goldenRows are those of the golden file.
func goldenRows() []sessions.Session {
	own, full := sharedtest.Row("own", storetest.Epoch), sharedtest.Row("full\x00\xff", storetest.Epoch)
	full.Realm = "other \x00"
	full.Impersonation, full.Actor.Subject, full.Reason, full.Rule = true, "support", "ticket \"4711\" ü", "scope x"
	full.ActorClient, full.ActorClaims = "desk", sessions.Claims{"scope": "a b"}
	full.IP, full.UserAgent, full.RotatedFrom = "192.0.2.1", "agent", "2001:db8::1"
	full.Generation, full.SecretPrev, full.RotatedAt = 1<<64-1, [16]byte{255, 1}, storetest.Epoch.Add(time.Minute)
	full.RevokedAt, full.EndReason, full.RequestHash = storetest.Epoch.Add(time.Hour), sessions.EndReuse, []byte{0, 255}
	return []sessions.Session{own, full}
}

// TestRowsThatAReleaseWroteAreReadByTheNext loads what is stored in testdata, and
// expects this release to write the same. A release that changes the format adds a
// file, and reads all of them.
func TestRowsThatAReleaseWroteAreReadByTheNext(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	cutoff := revocation.Cutoff{ID: "c\x00", Realm: "other \x00", At: storetest.Epoch, Filter: sessions.Filter{User: "\xff", Impersonations: true}}

	writer := openStore(t, Options{Now: clock.Now})
	for _, row := range goldenRows() {
		sharedtest.Create(t, writer, row)
	}
	if _, err := writer.AddCutoff(ctx(), cutoff); err != nil {
		t.Fatal(err)
	}
	written := dump(t, writer)
	if *update {
		if err := os.WriteFile(golden, []byte(written), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if written != string(stored) {
		t.Errorf("this release writes\n%s\nnot\n%s", written, stored)
	}

	for _, file := range []string{golden, goldenV3, goldenV1} {
		stored, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		readStored(t, string(stored), clock, cutoff)
	}
}

// readStored expects that this release reads what is stored in a golden file.
func readStored(t *testing.T, stored string, clock *storetest.Clock, cutoff revocation.Cutoff) {
	t.Helper()
	reader := openStore(t, Options{Now: clock.Now})
	server(t).Exec(t, "postgres", "SET search_path = "+reader.sql.schema+";\n"+stored)
	for _, row := range goldenRows() {
		if got := sharedtest.Get(t, reader, row.Key()); !reflect.DeepEqual(got, row) {
			t.Errorf("read is %+v, not %+v", got, row)
		}
	}
	own := goldenRows()[0]
	_, _, rotated, err := reader.Rotate(ctx(), &sessions.Presented{Session: own.Key(), UserID: "alice", ClientID: "app", Secret: own.Secret}, &sessions.Fresh{KeyID: "k"})
	if !rotated || err != nil {
		t.Errorf("the token of a row that was stored is not the live one: %v", err)
	}
	if all, err := reader.Cutoffs(ctx(), cutoff.Realm); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], cutoff) {
		t.Errorf("read are %+v, %v", all, err)
	}
}

// dump writes what is stored as SQL, all but rev, which begins anywhere.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var out strings.Builder
	for _, table := range []string{"sessions", "revocations", "cutoffs"} {
		sql := strings.NewReplacer("{s}", s.sql.schema, "{t}", table).Replace(`SELECT format('INSERT INTO {t} (%s) VALUES (%s);',
	(SELECT string_agg(key, ', ' ORDER BY key) FROM json_each_text(j)),
	(SELECT string_agg(CASE WHEN key = 'rev' THEN '0' ELSE quote_nullable(value) END, ', ' ORDER BY key) FROM json_each_text(j)))
FROM (SELECT row_to_json(x) AS j FROM {s}.{t} AS x ORDER BY x.realm, x.id) AS rows`)
		out.WriteString(server(t).Exec(t, "postgres", sql) + "\n")
	}
	return out.String()
}

// TestARowOfANewerReleaseIsNobodysGuess has rows and cutoffs of a format to come.
func TestARowOfANewerReleaseIsNobodysGuess(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	row := sharedtest.Create(t, s, sharedtest.Row("newer", s.Now()))
	server(t).Exec(t, "postgres", fmt.Sprintf(`UPDATE %s.sessions SET format = 3,
	data = convert_to(replace(convert_from(data, 'UTF8'), '"v":1', '"v":3'), 'UTF8')`, s.sql.schema))
	before := dump(t, s)
	_, get := s.Get(ctx(), row.Key())
	creating := sharedtest.CreateErr(s, row)
	_, updating := s.Update(ctx(), row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		t.Error("the transition was called")
		return row, true
	})
	_, _, revoking := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	_, listing := s.List(ctx(), sessions.Query{Realm: row.Realm, User: "alice", Limit: 1})
	_, scanning := s.Scan(ctx(), "", 1)
	for name, err := range map[string]error{"Get": get, "Create": creating, "Update": updating, "Revoke": revoking, "List": listing, "Scan": scanning} {
		if !errors.Is(err, rowcodec.ErrNewer) {
			t.Errorf("%s: %v, not ErrNewerRow", name, err)
		}
	}
	_, _, rotated, err := s.Rotate(ctx(), sharedtest.Token(&row), &sessions.Fresh{KeyID: "k"})
	if rotated || err != nil {
		t.Errorf("a newer row was rotated: %v", err)
	}
	if after := dump(t, s); after != before {
		t.Errorf("a newer row was changed from\n%s\nto\n%s", before, after)
	}
	c := revocation.Cutoff{ID: "c", Realm: row.Realm, At: s.Now(), Filter: sessions.Filter{User: "alice"}}
	if _, err := s.AddCutoff(ctx(), c); err != nil {
		t.Fatal(err)
	}
	server(t).Exec(t, "postgres", fmt.Sprintf(`UPDATE %s.cutoffs SET data = convert_to('{"v":2}', 'UTF8')`, s.sql.schema))
	if _, err := s.Cutoffs(ctx(), row.Realm); !errors.Is(err, rowcodec.ErrNewer) {
		t.Errorf("a newer cutoff: %v", err)
	}
}

// TestTheEnvironmentSaysWhereTheDatabaseIs uses the PG* variables alone.
func TestTheEnvironmentSaysWhereTheDatabaseIs(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "127.0.0.1", "PGPORT": fmt.Sprint(server(t).Port), "PGUSER": "postgres", "PGPASSWORD": pgtest.Password,
		"PGDATABASE": "postgres", "PGSSLMODE": "disable",
	} {
		t.Setenv(name, value)
	}
	s, err := Open(ctx(), Options{Schema: newSchema()})
	if err != nil {
		t.Fatal(err)
	}
	sharedtest.Everything(t, s)
	_ = s.Close()
	t.Setenv("PGSSLMODE", "require")
	if _, err := Open(ctx(), Options{Schema: newSchema()}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("a server without TLS was good enough for sslmode=require: %v", err)
	}
}

// TestNoErrorHoldsThePassword opens with what cannot work.
func TestNoErrorHoldsThePassword(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	for _, opts := range []Options{
		{DSN: server(t).DSNOf("postgres", "postgres", password)},
		{DSN: "postgres://a:" + password + "@[/x"},
		{DSN: "host=127.0.0.1 port=1 password=" + password},
		{DSN: "password=" + password + " port=x"},
		{DSN: "host=127.0.0.1 port=1", Password: password},
		{DSN: server(t).DSN("postgres"), ListenDSN: "postgres://a:" + password + "@[/x"},
		{DSN: "host=127.0.0.1 port=1 sslmode=" + password},
	} {
		_, err := Open(ctx(), opts)
		if !errors.Is(err, sessions.ErrUnavailable) || strings.Contains(err.Error(), password) {
			t.Errorf("error %v", err)
		}
	}
}

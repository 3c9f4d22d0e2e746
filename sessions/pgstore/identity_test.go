package pgstore

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"authsidecar/sessions"
)

// Nodes that come at once make one identity, which stays; another schema has another.
func TestIdentity_IsThatOfTheSchema(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	first := identities(t, s)
	if again := identities(t, s); again != first {
		t.Errorf("%q, then %q", first, again)
	}
	if other := identities(t, openStore(t, Options{})); other == first {
		t.Error("two schemas are one store")
	}
	server(t).Exec(t, "postgres", "TRUNCATE "+s.sql.schema+".identity")
	if emptied := identities(t, s); emptied == first {
		t.Error("an emptied schema is the same store")
	}
	_ = s.Close()
	if _, err := s.Identity(ctx()); !errors.Is(err, sessions.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// identities asks ten nodes at once, who agree.
func identities(t *testing.T, s *Store) string {
	t.Helper()
	var all sync.WaitGroup
	var found [10]string
	for i := range found {
		node := openStore(t, Options{Schema: s.opts.Schema})
		all.Go(func() {
			var err error
			if found[i], err = node.Identity(ctx()); err != nil || len(found[i]) < 8 {
				t.Errorf("%q, %v", found[i], err)
			}
		})
	}
	all.Wait()
	for _, other := range found {
		if other != found[0] {
			t.Errorf("nodes read %q and %q", found[0], other)
		}
	}
	return found[0]
}

// A schema of version 1 is migrated by the nodes that come, one of which does it; its rows stay,
// and the release that knows version 1 alone may go on.
func TestASchemaOfVersion1IsMigrated(t *testing.T) {
	t.Parallel()
	name := newSchema()
	sql := newStatements(name)
	text := func(of statement) string { return sql.texts[of] }
	rows, err := os.ReadFile(goldenV1)
	if err != nil {
		t.Fatal(err)
	}
	server(t).Exec(t, "postgres", strings.Join([]string{
		text(sqlMakeSchema), text(sqlMakeVersion), text(migrations[0]) + "INSERT INTO " + sql.schema + ".version VALUES (1, 1)", "SET search_path = " + sql.schema, string(rows),
	}, ";\n"))
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			s, err := Open(ctx(), Options{DSN: server(t).DSN("postgres"), Schema: name})
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close()
		})
	}
	all.Wait()
	s := openStore(t, Options{Schema: name, MustExist: true})
	if got := server(t).Exec(t, "postgres", "SELECT version, oldest FROM "+s.sql.schema+".version"); got != "4|1" {
		t.Errorf("the version is stored as %s", got)
	}
	for _, row := range goldenRows() {
		if got, err := s.Get(ctx(), row.Key()); err != nil || !reflect.DeepEqual(got, row) {
			t.Errorf("read is %+v, %v, not %+v", got, err, row)
		}
	}
	identities(t, s)
}

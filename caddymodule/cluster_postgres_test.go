package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "authsidecar/caddymodule/postgres"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/storetest/servertest"
)

// sharedPostgres is the server that tests share which do it no harm.
var sharedPostgres = servertest.Shared[*pgtest.Server]{Start: func(t testing.TB) *pgtest.Server { return pgtest.Start(t) }}

func init() {
	engines["postgres"] = func(t *testing.T, own bool) *engine {
		if !own {
			return &engine{store: storePostgres(t, sharedPostgres.Get(t), engineName())}
		}
		server := pgtest.Start(t)
		return &engine{
			store: storePostgres(t, server, engineName()),
			stop:  server.Stop,
			start: func() { server.Begin(t) },
			cutFeeds: func() {
				server.Exec(t, "postgres", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%' AND pid <> pg_backend_pid()`)
			},
		}
	}
}

// storePostgres are the words of a block whose store is in that schema of the server.
func storePostgres(t *testing.T, server *pgtest.Server, schema string) string {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(pgtest.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("store postgres \"postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable\" {\n\t\t\tpassword {file.%s}\n\t\t\tschema %s\n\t\t}", server.Port, password, schema)
}

package caddymodule_test

import (
	"fmt"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/placeholder/placeholdertest"
	"authsidecar/caddymodule/postgres"
	"authsidecar/sessions/pgstore/pgtest"
)

// TestPostgres_ValidateTouchesNoNetwork validates a configuration whose database is nowhere.
func TestPostgres_ValidateTouchesNoNetwork(t *testing.T) {
	mustLoadStore(t, "postgres", `{"dsn": "postgres://nobody@127.0.0.1:1/nowhere", "max_conns": 3}`)
	wantStoresInvalid[postgres.Store](t, `{"max_conns": -1}`, `{"max_conns": 1001}`, `{"timeout": -5}`)
}

func TestPostgres_NoTextKeepsAPlaceholder(t *testing.T) {
	placeholdertest.Run(t, func(s *postgres.Store) error { return s.Provision(caddy.Context{}) }, nil)
}

func TestPostgres_TheKeyOfAStoreNamesAllThatMatters(t *testing.T) {
	t.Setenv("PGTEST_PASSWORD", "hunter2")
	t.Setenv("PGTEST_URL", "postgres://sidecar@db/app")
	wantStoreKeys(t, "postgres", `{"dsn": "postgres://sidecar@db/app"}`, `{"dsn": "{env.PGTEST_URL}"}`, []string{
		`{}`, `{"dsn": "postgres://sidecar@db/other"}`, `{"dsn": "postgres://sidecar@db/app", "schema": "other"}`,
		`{"dsn": "postgres://sidecar@db/app", "password": "{env.PGTEST_PASSWORD}"}`,
		`{"dsn": "postgres://sidecar@db/app", "listen": "off"}`, `{"dsn": "postgres://sidecar@db/app", "timeout": 1000000000}`,
	})
	wantStoresRefused(t, "postgres", map[string]string{
		`{"password": "{env.PGTEST_NOWHERE}"}`:    "password: {env.PGTEST_NOWHERE} gives nothing",
		`{"password": "{http.request.host}"}`:     "password: braces are for placeholders",
		`{"dsn": "{env.PGTEST_NOWHERE}/hunter2"}`: "dsn: {env.PGTEST_NOWHERE} gives nothing",
	})
}

func TestPostgres_TheStoreOpensWithAPasswordFromTheEnvironment(t *testing.T) {
	server := sharedPostgres.Get(t)
	config := `{"dsn": "postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", "password": "{env.STORE_PASSWORD}", "schema": %q}`
	openStores(t, &storeOpening{
		Name: "postgres", Password: pgtest.Password, Config: fmt.Sprintf(config, server.Port, "a schema"), Empty: fmt.Sprintf(config, server.Port, "other"),
		Location: fmt.Sprintf("127.0.0.1:%d, database postgres, schema a schema", server.Port),
		Wrong: []string{
			`{"dsn": "postgres://x:hunter2 of another@[nowhere/?sslmode=wrong"}`, `{"dsn": "host=127.0.0.1 port=x password='hunter2 of another'"}`,
		},
	})
}

// Interface guards
var (
	_ caddymodule.StoreOpener  = (*postgres.Store)(nil)
	_ caddymodule.StoreLocator = (*postgres.Store)(nil)
)

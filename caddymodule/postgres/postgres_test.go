package postgres

import (
	"encoding/json"
	"flag"
	"fmt"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/placeholder/placeholdertest"
	"authsidecar/caddymodule/internal/storemodule/storemoduletest"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/storetest/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

var update = flag.Bool("update", false, "write what the adapter says into testdata/adapt")

func TestAdapt(t *testing.T) { storemoduletest.Adapt(t, 17, *update) }

// TestValidateTouchesNoNetwork validates a configuration whose database is nowhere.
func TestValidateTouchesNoNetwork(t *testing.T) {
	storemoduletest.MustLoad(t, name, `{"dsn": "postgres://nobody@127.0.0.1:1/nowhere", "max_conns": 3}`)
	for _, wrong := range []string{`{"max_conns": -1}`, `{"max_conns": 1001}`, `{"timeout": -5}`} {
		s := new(Store)
		if err := json.Unmarshal([]byte(wrong), s); err != nil {
			t.Fatal(err)
		}
		if s.Validate() == nil {
			t.Errorf("%s is valid", wrong)
		}
	}
}

func TestPlaceholders_NoTextKeepsOne(t *testing.T) {
	placeholdertest.Run(t, func(s *Store) error { return s.Provision(caddy.Context{}) }, nil)
}

func TestTheKeyOfAStoreNamesAllThatMatters(t *testing.T) {
	t.Setenv("PGTEST_PASSWORD", "hunter2")
	t.Setenv("PGTEST_URL", "postgres://sidecar@db/app")
	storemoduletest.Keys(t, name, `{"dsn": "postgres://sidecar@db/app"}`, `{"dsn": "{env.PGTEST_URL}"}`, []string{
		`{}`, `{"dsn": "postgres://sidecar@db/other"}`, `{"dsn": "postgres://sidecar@db/app", "schema": "other"}`,
		`{"dsn": "postgres://sidecar@db/app", "password": "{env.PGTEST_PASSWORD}"}`,
		`{"dsn": "postgres://sidecar@db/app", "listen": "off"}`, `{"dsn": "postgres://sidecar@db/app", "timeout": 1000000000}`,
	})
	storemoduletest.Refused(t, name, map[string]string{
		`{"password": "{env.PGTEST_NOWHERE}"}`:    "password: {env.PGTEST_NOWHERE} gives nothing",
		`{"password": "{http.request.host}"}`:     "password: braces are for placeholders",
		`{"dsn": "{env.PGTEST_NOWHERE}/hunter2"}`: "dsn: {env.PGTEST_NOWHERE} gives nothing",
	})
}

func TestTheStoreOpensWithAPasswordFromTheEnvironment(t *testing.T) {
	server := pgtest.Start(t)
	config := `{"dsn": "postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", "password": "{env.STORE_PASSWORD}", "schema": %q}`
	storemoduletest.Open(t, &storemoduletest.Opening{
		Name: name, Password: pgtest.Password, Config: fmt.Sprintf(config, server.Port, "a schema"), Empty: fmt.Sprintf(config, server.Port, "other"),
		Location: fmt.Sprintf("127.0.0.1:%d, database postgres, schema a schema", server.Port),
		Wrong: []string{
			`{"dsn": "postgres://x:hunter2 of another@[nowhere/?sslmode=wrong"}`, `{"dsn": "host=127.0.0.1 port=x password='hunter2 of another'"}`,
		},
	})
}

// Interface guards
var (
	_ caddymodule.StoreOpener  = (*Store)(nil)
	_ caddymodule.StoreLocator = (*Store)(nil)
)

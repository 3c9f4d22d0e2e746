package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/placeholder/placeholdertest"
	"authsidecar/sessions"
	"authsidecar/sessions/pgstore/pgtest"
)

var update = flag.Bool("update", false, "write what the adapter says into testdata/adapt")

// TestAdapt adapts each Caddyfile of testdata/adapt and compares what comes out with
// what stands below it: JSON, or for fail_* the error, which names the marked line.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < 17 {
		t.Fatalf("%d goldens, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(data), "----------\n")
			got := adapt(t, input, strings.HasPrefix(name, "fail_"))
			if strings.Contains(got, "hunter2") {
				t.Error("the password is in the error")
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+"----------\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("adapted to:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func adapt(t *testing.T, input string, fails bool) string {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if fails {
		if err == nil {
			t.Fatalf("no error, but:\n%s", config)
		}
		before, _, _ := strings.Cut(input, "# wrong")
		if place := fmt.Sprintf(", at Caddyfile:%d", strings.Count(before, "\n")+1); !strings.HasSuffix(err.Error(), place) {
			t.Errorf("error %q, want it to end in %q", err, place)
		}
		return err.Error() + "\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return pretty.String() + "\n"
}

// TestValidateTouchesNoNetwork validates a configuration whose database is nowhere.
func TestValidateTouchesNoNetwork(t *testing.T) {
	store := load(t, `{"dsn": "postgres://nobody@127.0.0.1:1/nowhere", "max_conns": 3}`)
	if _, err := store.StoreKey(); err != nil {
		t.Error(err)
	}
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

// load makes the module as Caddy does.
func load(t *testing.T, config string) *Store {
	t.Helper()
	store, err := tryLoad(t, config)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func tryLoad(t *testing.T, config string) (*Store, error) {
	t.Helper()
	caddyCtx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := caddyCtx.LoadModuleByID("auth_sessions.stores.postgres", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(*Store), nil
}

// TestTheKeyOfAStoreNamesAllThatMatters expects one key for what is the same store, and
// no password in any.
func TestTheKeyOfAStoreNamesAllThatMatters(t *testing.T) {
	t.Setenv("PGTEST_PASSWORD", "hunter2")
	t.Setenv("PGTEST_URL", "postgres://sidecar@db/app")
	key := func(config string) string {
		key, err := load(t, config).StoreKey()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(key, "hunter2") {
			t.Error("the key holds the password")
		}
		return key
	}
	first := key(`{"dsn": "postgres://sidecar@db/app"}`)
	if key(`{"dsn": "{env.PGTEST_URL}"}`) != first {
		t.Error("a placeholder makes another store of the same")
	}
	seen := map[string]string{first: "the first"}
	for _, config := range []string{
		`{}`, `{"dsn": "postgres://sidecar@db/other"}`, `{"dsn": "postgres://sidecar@db/app", "schema": "other"}`,
		`{"dsn": "postgres://sidecar@db/app", "password": "{env.PGTEST_PASSWORD}"}`,
		`{"dsn": "postgres://sidecar@db/app", "listen": "off"}`, `{"dsn": "postgres://sidecar@db/app", "timeout": 1000000000}`,
	} {
		k := key(config)
		if seen[k] != "" {
			t.Errorf("%s has the key of %s", config, seen[k])
		}
		seen[k] = config
	}
	for config, want := range map[string]string{
		`{"password": "{env.PGTEST_NOWHERE}"}`:    "password: {env.PGTEST_NOWHERE} gives nothing",
		`{"password": "{http.request.host}"}`:     "password: braces are for placeholders",
		`{"dsn": "{env.PGTEST_NOWHERE}/hunter2"}`: "dsn: {env.PGTEST_NOWHERE} gives nothing",
	} {
		if _, err := tryLoad(t, config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// TestTheStoreOpensWithAPasswordFromTheEnvironment and TestTheStoreSaysWhyItDoesNot
// go to a server; no error and no log has the password.
func TestTheStoreOpensWithAPasswordFromTheEnvironment(t *testing.T) {
	server := pgtest.Start(t)
	core, logs := observer.New(zap.DebugLevel)
	t.Setenv("PGTEST_PASSWORD", pgtest.Password)
	config := fmt.Sprintf(`{"dsn": "postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", "password": "{env.PGTEST_PASSWORD}", "schema": "a schema"}`, server.Port)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store, err := load(t, config).OpenStore(ctx, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(ctx, sessions.Key{Realm: "r", ID: "nobody"}); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("the store is not there: %v", err)
	}
	if err := store.(interface{ Close() error }).Close(); err != nil {
		t.Error(err)
	}
	existing, err := load(t, config).OpenExisting(ctx, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	if err := existing.(interface{ Close() error }).Close(); err != nil {
		t.Error(err)
	}
	if _, err := load(t, strings.Replace(config, "a schema", "other", 1)).OpenExisting(ctx, zap.New(core)); !errors.Is(err, sessions.ErrNoStore) {
		t.Errorf("where none is: %v", err)
	}
	if got, want := load(t, config).StoreLocation(), fmt.Sprintf("127.0.0.1:%d, database postgres, schema a schema", server.Port); got != want {
		t.Errorf("the store is at %q, want %q", got, want)
	}
	const wrong = "hunter2 of another"
	t.Setenv("PGTEST_PASSWORD", wrong)
	for _, config := range []string{config, `{"dsn": "postgres://x:hunter2 of another@[nowhere/?sslmode=wrong"}`, `{"dsn": "host=127.0.0.1 port=x password='hunter2 of another'"}`} {
		_, err := load(t, config).OpenStore(ctx, zap.New(core))
		if !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("opened with a wrong password: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	for _, entry := range logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, pgtest.Password) || strings.Contains(text, "hunter2") {
			t.Errorf("the log holds the password: %s", text)
		}
	}
}

// Interface guards
var (
	_ caddymodule.StoreOpener  = (*Store)(nil)
	_ caddymodule.StoreLocator = (*Store)(nil)
)

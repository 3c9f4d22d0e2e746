package caddymodule_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"authsidecar/sessions"
)

// storeSecret is in what the tests of the store modules configure, and nowhere else.
const storeSecret = "hunter2"

// A storeModule is a store module of a server.
type storeModule interface {
	StoreKey() (string, error)
	StoreLocation() string
	OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
	OpenExisting(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
}

// loadStore makes the module of that name as Caddy does.
func loadStore(t *testing.T, name, config string) (storeModule, error) {
	t.Helper()
	caddyCtx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := caddyCtx.LoadModuleByID("auth_sessions.stores."+name, json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(storeModule), nil
}

// mustLoadStore is loadStore of a configuration without a mistake.
func mustLoadStore(t *testing.T, name, config string) storeModule {
	t.Helper()
	module, err := loadStore(t, name, config)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// wantStoreKeys expects one key for the first and the same, another for each of the others, and no
// password in any.
func wantStoreKeys(t *testing.T, name, first, same string, others []string) {
	t.Helper()
	seen := make(map[string]string)
	for _, config := range append([]string{first}, others...) {
		key, err := mustLoadStore(t, name, config).StoreKey()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(key, storeSecret) {
			t.Error("the key holds the password")
		}
		if seen[key] != "" {
			t.Errorf("%s has the key of %s", config, seen[key])
		}
		seen[key] = config
	}
	if key, err := mustLoadStore(t, name, same).StoreKey(); err != nil || seen[key] != first {
		t.Errorf("a placeholder makes another store of the same: %v", err)
	}
}

// wantStoresRefused expects configurations that cannot be loaded, with what their errors say.
func wantStoresRefused(t *testing.T, name string, wrong map[string]string) {
	t.Helper()
	for config, want := range wrong {
		if _, err := loadStore(t, name, config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), storeSecret) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// wantStoresInvalid expects configurations of one type of store that are read, but not valid.
func wantStoresInvalid[S any, P interface {
	*S
	caddy.Validator
}](t *testing.T, wrong ...string) {
	t.Helper()
	for _, config := range wrong {
		s := P(new(S))
		if err := json.Unmarshal([]byte(config), s); err != nil {
			t.Fatal(err)
		}
		if s.Validate() == nil {
			t.Errorf("%s is valid", config)
		}
	}
}

// A storeOpening is a store that can be opened.
type storeOpening struct {
	Name     string // of the module
	Config   string // its password is in the environment variable STORE_PASSWORD
	Password string
	Location string   // what StoreLocation says
	Empty    string   // a configuration where no store is
	Wrong    []string // configurations of stores that cannot be opened
}

// openStores opens the store, and those that cannot be opened: neither an error nor the log has the
// password. It returns the log.
func openStores(t *testing.T, o *storeOpening) *observer.ObservedLogs {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	t.Setenv("STORE_PASSWORD", o.Password)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store, err := mustLoadStore(t, o.Name, o.Config).OpenStore(ctx, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(ctx, sessions.Key{Realm: "r", ID: "nobody"}); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("the store is not there: %v", err)
	}
	existing, err := mustLoadStore(t, o.Name, o.Config).OpenExisting(ctx, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []sessions.Store{store, existing} {
		if err := store.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := mustLoadStore(t, o.Name, o.Empty).OpenExisting(ctx, zap.New(core)); !errors.Is(err, sessions.ErrNoStore) {
		t.Errorf("where none is: %v", err)
	}
	if got := mustLoadStore(t, o.Name, o.Config).StoreLocation(); got != o.Location {
		t.Errorf("the store is at %q, want %q", got, o.Location)
	}
	t.Setenv("STORE_PASSWORD", storeSecret+" of another")
	for _, config := range append([]string{o.Config}, o.Wrong...) {
		_, err := mustLoadStore(t, o.Name, config).OpenStore(ctx, zap.New(core))
		if !errors.Is(err, sessions.ErrUnavailable) || strings.Contains(err.Error(), storeSecret) {
			t.Errorf("opened with a wrong password: %v", err)
		}
	}
	for _, entry := range logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, o.Password) || strings.Contains(text, storeSecret) {
			t.Errorf("the log holds the password: %s", text)
		}
	}
	return logs
}

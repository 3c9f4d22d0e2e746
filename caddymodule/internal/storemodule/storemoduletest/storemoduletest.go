// Package storemoduletest proves what the store modules of servers have in common.
package storemoduletest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"authsidecar/sessions"
)

// secret is in what tests configure, and nowhere else.
const secret = "hunter2"

// Adapt adapts each Caddyfile of testdata/adapt, of which there are so many at least, and compares
// what comes out with what stands below it: JSON, or for fail_* the error, which names the marked
// line. update writes it instead.
func Adapt(t *testing.T, least int, update bool) {
	t.Helper()
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < least {
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
			if strings.Contains(got, secret) {
				t.Error("the password is in the error")
			}
			if update {
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

// A Module is a store module.
type Module interface {
	StoreKey() (string, error)
	StoreLocation() string
	OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
	OpenExisting(ctx context.Context, logger *zap.Logger) (sessions.Store, error)
}

// Load makes the module of that name as Caddy does.
func Load(t *testing.T, name, config string) (Module, error) {
	t.Helper()
	caddyCtx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := caddyCtx.LoadModuleByID("auth_sessions.stores."+name, json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(Module), nil
}

// MustLoad is Load of a configuration without a mistake.
func MustLoad(t *testing.T, name, config string) Module {
	t.Helper()
	module, err := Load(t, name, config)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// Keys expects one key for the first and the same, another for each of the others, and no password
// in any.
func Keys(t *testing.T, name, first, same string, others []string) {
	t.Helper()
	seen := make(map[string]string)
	for _, config := range append([]string{first}, others...) {
		key, err := MustLoad(t, name, config).StoreKey()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(key, secret) {
			t.Error("the key holds the password")
		}
		if seen[key] != "" {
			t.Errorf("%s has the key of %s", config, seen[key])
		}
		seen[key] = config
	}
	if key, err := MustLoad(t, name, same).StoreKey(); err != nil || seen[key] != first {
		t.Errorf("a placeholder makes another store of the same: %v", err)
	}
}

// Refused expects configurations that cannot be loaded, with what their errors say.
func Refused(t *testing.T, name string, wrong map[string]string) {
	t.Helper()
	for config, want := range wrong {
		if _, err := Load(t, name, config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// An Opening is a store that can be opened.
type Opening struct {
	Name     string // of the module
	Config   string // its password is in the environment variable STORE_PASSWORD
	Password string
	Location string   // what StoreLocation says
	Empty    string   // a configuration where no store is
	Wrong    []string // configurations of stores that cannot be opened
}

// Open opens the store, and those that cannot be opened: neither an error nor the log has the
// password. It returns the log.
func Open(t *testing.T, o *Opening) *observer.ObservedLogs {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	t.Setenv("STORE_PASSWORD", o.Password)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store, err := MustLoad(t, o.Name, o.Config).OpenStore(ctx, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(ctx, sessions.Key{Realm: "r", ID: "nobody"}); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("the store is not there: %v", err)
	}
	existing, err := MustLoad(t, o.Name, o.Config).OpenExisting(ctx, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []sessions.Store{store, existing} {
		if err := store.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := MustLoad(t, o.Name, o.Empty).OpenExisting(ctx, zap.New(core)); !errors.Is(err, sessions.ErrNoStore) {
		t.Errorf("where none is: %v", err)
	}
	if got := MustLoad(t, o.Name, o.Config).StoreLocation(); got != o.Location {
		t.Errorf("the store is at %q, want %q", got, o.Location)
	}
	t.Setenv("STORE_PASSWORD", secret+" of another")
	for _, config := range append([]string{o.Config}, o.Wrong...) {
		_, err := MustLoad(t, o.Name, config).OpenStore(ctx, zap.New(core))
		if !errors.Is(err, sessions.ErrUnavailable) || strings.Contains(err.Error(), secret) {
			t.Errorf("opened with a wrong password: %v", err)
		}
	}
	for _, entry := range logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, o.Password) || strings.Contains(text, secret) {
			t.Errorf("the log holds the password: %s", text)
		}
	}
	return logs
}

package docs

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

// What follows, up to the test, is on the page.

func init() { caddy.RegisterModule(Store{}) }

// Store is the module: its fields are its JSON.
type Store struct {
	Name string `json:"name,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "auth_sessions.stores.mine", New: func() caddy.Module { return new(Store) }}
}

// UnmarshalCaddyfile reads: mine [<name>]
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume "mine"
	if d.NextArg() {
		s.Name = d.Val()
	}
	if d.NextArg() || d.NextBlock(0) {
		return d.Err("a store has one name at most: write store mine [<name>]")
	}
	return nil
}

// StoreKey names the database.
func (s *Store) StoreKey() (string, error) { return "mine " + s.Name, nil }

// StoreLocation is optional.
func (s *Store) StoreLocation() string { return s.Name }

// OpenStore opens the database.
func (s *Store) OpenStore(context.Context, *zap.Logger) (sessions.Store, error) {
	return new(storetest.Memory), nil
}

// The store module of the page about writing a store is the one above: it reads
// its words, and opens a store.
func TestWritingAStore_TheModuleOfThePageIsOne(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("writing-a-store.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("writing_a_store_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, module, _ := strings.Cut(string(code), "is on the page.\n\n")
	module, _, _ = strings.Cut(module, "\n// The store module of the page")
	if !strings.Contains(string(page), "\n\n"+module+"```\n") {
		t.Errorf("the page does not show\n%s", module)
	}
	for text, want := range map[string]string{"mine": "mine ", "mine here": "mine here", "mine here there": "", "mine {\n\tword\n}": ""} {
		d := caddyfile.NewTestDispenser(text)
		d.Next() // to the name, where the directive has it
		made, err := caddyfile.UnmarshalModule(d, "auth_sessions.stores.mine")
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken", text)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if key, _ := made.(*Store).StoreKey(); key != want {
			t.Errorf("%q has the key %q", text, key)
		}
	}
	if store, err := new(Store).OpenStore(t.Context(), zap.NewNop()); err != nil || store.Now().IsZero() {
		t.Errorf("opening it: %v", err)
	}
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Store)(nil)

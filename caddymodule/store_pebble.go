package caddymodule

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/config/directive"
	"authsidecar/caddymodule/internal/canonical"
	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions"
	"authsidecar/sessions/pebblestore"
)

func init() {
	caddy.RegisterModule(PebbleStore{})
}

// PebbleStore stores the sessions in an embedded database on this machine.
type PebbleStore struct {
	// The directory of the database. Default: `auth_sessions/pebble` in Caddy's
	// data directory.
	Dir string `json:"dir,omitempty" placeholders:"resolve"`
}

// CaddyModule returns the Caddy module information.
func (PebbleStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "auth_sessions.stores.pebble",
		New: func() caddy.Module { return new(PebbleStore) },
	}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	pebble [<dir>]
func (s *PebbleStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the name
	if d.NextArg() {
		s.Dir = d.Val()
	}
	if err := placeholder.Check(s); err != nil {
		return d.Errf("store pebble: %v", err)
	}
	if d.NextArg() || directive.OpensBlock(d) {
		return d.Err("store pebble has too many arguments: write store pebble [<directory>]")
	}
	return nil
}

// Provision resolves placeholders.
func (s *PebbleStore) Provision(caddy.Context) error {
	if err := placeholder.ResolveAll(s); err != nil {
		return fmt.Errorf("store pebble: %w", err)
	}
	return nil
}

// StoreKey returns the directory as a key.
func (s *PebbleStore) StoreKey() (string, error) {
	dir, err := canonical.Path(s.directory())
	if err != nil {
		return "", fmt.Errorf("store pebble: %w", err)
	}
	return "pebble " + dir, nil
}

// StoreLocation returns the directory.
func (s *PebbleStore) StoreLocation() string {
	dir, err := canonical.Path(s.directory())
	if err != nil {
		return s.directory()
	}
	return dir
}

// OpenStore opens the database, and creates it if it does not exist.
func (s *PebbleStore) OpenStore(_ context.Context, logger *zap.Logger) (sessions.Store, error) {
	return s.open(logger, false)
}

// OpenExisting opens the database if it exists.
func (s *PebbleStore) OpenExisting(_ context.Context, logger *zap.Logger) (sessions.Store, error) {
	return s.open(logger, true)
}

func (s *PebbleStore) open(logger *zap.Logger, mustExist bool) (sessions.Store, error) {
	dir, err := canonical.Path(s.directory())
	if err != nil {
		return nil, fmt.Errorf("store pebble: %w", err)
	}
	log := logger.Named("store")
	store, err := pebblestore.Open(pebblestore.Options{Dir: dir, MustExist: mustExist, Log: slogOf(log)})
	if err != nil {
		return nil, fmt.Errorf("store pebble %s: %w", dir, err)
	}
	adminapi.RemoveCopies(dir)
	return store, nil
}

func (s *PebbleStore) directory() string {
	if s.Dir != "" {
		return s.Dir
	}
	return filepath.Join(caddy.AppDataDir(), "auth_sessions", "pebble")
}

// Interface guards
var (
	_ StoreOpener           = (*PebbleStore)(nil)
	_ StoreLocator          = (*PebbleStore)(nil)
	_ caddy.Module          = (*PebbleStore)(nil)
	_ caddy.Provisioner     = (*PebbleStore)(nil)
	_ caddyfile.Unmarshaler = (*PebbleStore)(nil)
)

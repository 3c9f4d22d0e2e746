package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(PebbleStore{})
}

// PebbleStore keeps the sessions in an embedded database on this machine.
type PebbleStore struct {
	// The directory of the database. Default: `auth_sessions/pebble` in Caddy's
	// data directory.
	Dir string `json:"dir,omitempty"`
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
	if d.NextArg() || opensBlock(d) {
		return d.Err("store pebble is followed by too much: write store pebble [<directory>]")
	}
	return nil
}

// Interface guards
var (
	_ caddy.Module          = (*PebbleStore)(nil)
	_ caddyfile.Unmarshaler = (*PebbleStore)(nil)
)

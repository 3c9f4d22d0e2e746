package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

const storeNamespace = "auth_sessions.stores"

// store reads which engine keeps the sessions. What follows the engine's name
// is read by its module.
func (p *parser) store() error {
	if !p.NextArg() {
		return p.Err("store needs the name of an engine, as in: store pebble")
	}
	name := p.Val()
	var known []string
	for _, module := range caddy.GetModules(storeNamespace) {
		known = append(known, module.ID.Name())
	}
	if _, err := caddy.GetModule(storeNamespace + "." + name); err != nil || strings.Contains(name, ".") {
		err := p.unknown("store", name, known)
		if name == "redis" || name == "postgres" {
			err = p.Errf("store %s is not in this build: build Caddy with it, or write store pebble", name)
		}
		return err
	}
	module, err := caddyfile.UnmarshalModule(p.Dispenser, storeNamespace+"."+name)
	if err != nil {
		return err
	}
	p.handler.StoreRaw = caddyconfig.JSONModuleObject(module, "engine", name, nil)
	return nil
}

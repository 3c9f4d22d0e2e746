package directive

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/internal/placeholder"
)

const storeNamespace = "auth_sessions.stores"

// store parses the engine of the sessions. The engine's module parses what follows its name.
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
		err := p.unknown("store", name, nearest(name, known), known)
		if name == "redis" || name == "postgres" {
			err = p.Errf("store %s is not in this build: build it with ./xcaddy.sh --with authsidecar/caddymodule/%s, or write store pebble", name, name)
		}
		return err
	}
	module, err := caddyfile.UnmarshalModule(p.Dispenser, storeNamespace+"."+name)
	if err != nil {
		return err
	}
	p.config.StoreRaw = caddyconfig.JSONModuleObject(module, "engine", name, nil)
	return nil
}

// ReadStore parses the Caddyfile of a store module into its struct, whose fields with the tag
// example are words. Errors name the line and what to do:
//
//	<name> [<address>] {
//		<word> <value>
//	}
//
// usage is how the first line is written, address parses the address, and more are the words that
// are no field. The errors of its Validate name the store.
func ReadStore(d *caddyfile.Dispenser, usage string, into caddy.Validator, address func(string) error, more map[string]func(values []string) error) error {
	d.Next() // consume the name
	at := "store " + d.Val()
	p := &parser{Dispenser: d, marks: make(map[string]caddyfile.Dispenser)}
	p.mark(at)
	known := p.fields(into, words{})
	of := func(err error) error {
		if err != nil {
			err = p.Errf("%s: %w", at, err)
		}
		return err
	}
	for word, read := range more {
		known[word] = func() error { return of(read(p.RemainingArgs())) }
	}
	if p.NextArg() {
		if err := of(address(p.Val())); err != nil {
			return err
		}
	}
	if p.NextArg() {
		return p.Errf("%s has too many arguments: write store %s", at, usage)
	}
	if err := p.block(at, known); err != nil {
		return err
	}
	if wrong, ok := errors.AsType[*placeholder.Error](placeholder.Check(into)); ok {
		return p.located(at+"."+wrong.At, fmt.Errorf("%s: %w", at, wrong))
	}
	return p.located(at, into.Validate())
}

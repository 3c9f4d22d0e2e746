package postgres

import (
	"errors"
	"regexp"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/caddymodule/internal/storemodule"
)

// inDSN matches a password, which must be in the environment or in a file instead.
var inDSN = regexp.MustCompile(`(?i)(?:^[a-z]+://[^/@:]*:([^@/]+)@|\bpassword\s*=\s*([^\s&]+))`)

// setDSN returns a parser for a DSN, which must not contain a password.
func setDSN(into *string) func(dsn string) error {
	return func(dsn string) error {
		if dsn == "" {
			return errors.New(" has an empty DSN: leave it away to use the PG* variables")
		}
		if found := inDSN.FindStringSubmatch(dsn); found != nil && !placeholder.Alone(found[1]+found[2]) {
			return storemodule.ErrLiteralPassword
		}
		*into = dsn
		return nil
	}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	postgres [<dsn>] {
//		password  <password>
//		schema    <name>
//		listen    <dsn> | off
//		max_conns <count>
//		timeout   <duration>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	syntax := storemodule.Syntax{
		Name: name, Store: s, Address: setDSN(&s.DSN), TooMuch: "store postgres [<dsn>], in quotes if it has blanks",
		Words: map[string]func([]string) error{
			"password":  storemodule.Secret("password", &s.Password),
			"schema":    storemodule.Text("schema", &s.Schema),
			"listen":    storemodule.One("listen", setDSN(&s.Listen)),
			"max_conns": storemodule.Count("max_conns", mostConns, &s.MaxConns),
			"timeout":   storemodule.Duration("timeout", &s.Timeout),
		},
	}
	return syntax.Unmarshal(d)
}

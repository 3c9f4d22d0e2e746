package postgres

import (
	"errors"
	"regexp"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config/directive"
	"authsidecar/caddymodule/internal/placeholder"
)

// inDSN matches a password, which must be in the environment or in a file instead.
var inDSN = regexp.MustCompile(`(?i)(?:^[a-z]+://[^/@:]*:([^@/]+)@|\bpassword\s*=\s*([^\s&]+))`)

// setDSN parses a DSN, which must not contain a password.
func setDSN(into *string, dsn string) error {
	if dsn == "" {
		return errors.New("the DSN is empty: leave it away to use the PG* variables")
	}
	if found := inDSN.FindStringSubmatch(dsn); found != nil && !placeholder.Alone(found[1]+found[2]) {
		return directive.SecretItself("password")
	}
	*into = dsn
	return nil
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
	address := func(dsn string) error { return setDSN(&s.DSN, dsn) }
	listen := func(values []string) error {
		if len(values) != 1 {
			return errors.New("listen needs one DSN, in quotes if it has blanks, or off")
		}
		return setDSN(&s.Listen, values[0])
	}
	return directive.ReadStore(d, "postgres [<dsn>], in quotes if it has blanks", s, address, map[string]func([]string) error{"listen": listen})
}

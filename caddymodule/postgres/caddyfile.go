package postgres

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/internal/placeholder"
)

// words are those of the block.
var words = []string{"listen", "max_conns", "password", "schema", "timeout"}

// A password stands elsewhere: in the environment, or in a file.
var (
	inDSN = regexp.MustCompile(`(?i)(?:^[a-z]+://[^/@:]*:([^@/]+)@|\bpassword\s*=\s*([^\s&]+))`)
)

// literal tells whether a DSN has a password in it.
func literal(dsn string) bool {
	found := inDSN.FindStringSubmatch(dsn)
	return found != nil && !placeholder.Alone(found[1]+found[2])
}

const literalPassword = "store postgres: the password stands here itself: keep it out of the Caddyfile and write where it is, {env.NAME} or {file./path}" //nolint:gosec // it says that there is one

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
	d.Next() // consume the name
	if d.NextArg() {
		if s.DSN = d.Val(); s.DSN == "" {
			return d.Err("store postgres has an empty DSN: leave it away to use the PG* variables")
		}
		if literal(s.DSN) {
			return d.Err(literalPassword)
		}
		if err := placeholder.Check(s); err != nil {
			return d.Errf("store postgres: %v", err)
		}
	}
	if d.NextArg() {
		return d.Err("store postgres is followed by too much: write store postgres [<dsn>], in quotes if it has blanks")
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		word := d.Val()
		if !slices.Contains(words, word) {
			return d.Errf("store postgres: unknown word %q: known are %s", word, strings.Join(words, ", "))
		}
		if seen[word] {
			return d.Errf("store postgres: %s is there twice: remove one", word)
		}
		seen[word] = true
		if !d.NextArg() || d.Val() == "" {
			return d.Errf("store postgres: %s needs a value", word)
		}
		if err := s.word(d, word, d.Val()); err != nil {
			return err
		}
		if d.NextArg() {
			return d.Errf("store postgres: %s takes one value: put it in quotes if it has blanks", word)
		}
		if err := placeholder.Check(s); err != nil {
			return d.Errf("store postgres: %v", err)
		}
	}
	return nil
}

// word reads one line of the block.
func (s *Store) word(d *caddyfile.Dispenser, word, value string) error {
	switch word {
	case "password":
		if !placeholder.Alone(value) {
			return d.Err(literalPassword)
		}
		s.Password = value
	case "schema":
		s.Schema = value
	case "listen":
		if literal(value) {
			return d.Err(literalPassword)
		}
		s.Listen = value
	case "max_conns":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 1000 {
			return d.Errf("store postgres: max_conns is a number of 1 to 1000, not %q", value)
		}
		s.MaxConns = n
	case "timeout":
		timeout, err := caddy.ParseDuration(value)
		if err != nil || timeout <= 0 {
			return d.Errf("store postgres: timeout is a duration such as 5s, not %q", value)
		}
		s.Timeout = caddy.Duration(timeout)
	}
	return nil
}

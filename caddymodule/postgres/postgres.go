// Package postgres is the store module auth_sessions.stores.postgres: sessions in a
// PostgreSQL database that several Caddys share.
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/storemodule"
	"authsidecar/sessions"
	"authsidecar/sessions/pgstore"
)

// name is that of the module, after its namespace.
const name = "postgres"

// mostConns is the most that MaxConns may be.
const mostConns = 1000

func init() {
	caddy.RegisterModule(Store{})
}

// Store keeps the sessions in a PostgreSQL database. Its texts may hold placeholders:
// `{env.X}`, `{file.path}`.
type Store struct {
	// The database: a URL (`postgres://user@host/database?sslmode=verify-full`) or words
	// (`host=... user=...`). What it does not say is taken from the environment: `PGHOST`,
	// `PGUSER`, `PGPASSWORD`, `PGSSLMODE` and so on.
	DSN string `json:"dsn,omitempty" placeholders:"resolve"`
	// The password, if it is not in the DSN: it may hold any character as it is.
	Password string `json:"password,omitempty" placeholders:"resolve"`
	// The schema of the tables, which is made if it is not there. Default: `auth_sessions`.
	Schema string `json:"schema,omitempty" placeholders:"resolve"`
	// Where revocations are listened for, if the DSN leads to a PgBouncer in transaction
	// mode: the DSN of the database itself. `off` asks for them each 250 ms instead.
	// Default: the DSN.
	Listen string `json:"listen,omitempty" placeholders:"resolve"`
	// How many statements run at once. Three more connections are kept for work in the
	// background. Default: 16.
	MaxConns int `json:"max_conns,omitempty"`
	// The bound of each statement. Default: 5 s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "auth_sessions.stores.postgres",
		New: func() caddy.Module { return new(Store) },
	}
}

// off is the Listen of who polls.
const off = "off"

// Provision gives the placeholders their values.
func (s *Store) Provision(caddy.Context) error { return storemodule.Resolve(name, s) }

// Validate checks what can be checked without a look at the database.
func (s Store) Validate() error {
	switch {
	case s.MaxConns < 0 || s.MaxConns > mostConns:
		return errors.New("store postgres: max_conns is 1 to 1000")
	case s.Timeout < 0:
		return errors.New("store postgres: timeout is negative")
	default:
		return nil
	}
}

// StoreKey is a hash of all that the store is opened with.
func (s *Store) StoreKey() (string, error) {
	o := s.options()
	return storemodule.Key(name, o.DSN, o.Password, o.Schema, o.ListenDSN, o.Poll, o.MaxConns, o.Timeout), nil
}

// StoreLocation is the server, the database in it, and the schema.
func (s *Store) StoreLocation() string {
	opts := s.options()
	return opts.Location()
}

// OpenStore connects to the database, and makes or migrates the schema if that is not
// done yet.
func (s *Store) OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error) {
	opts := s.options()
	opts.Log = storemodule.Log(logger)
	return storemodule.Open(ctx, name, pgstore.Open, opts)
}

// OpenExisting connects to the database, if it has a store of ours.
func (s *Store) OpenExisting(ctx context.Context, logger *zap.Logger) (sessions.Store, error) {
	opts := s.options()
	opts.MustExist, opts.Log = true, storemodule.Log(logger)
	return storemodule.Open(ctx, name, pgstore.Open, opts)
}

// options are what the store is opened with.
func (s *Store) options() pgstore.Options {
	opts := pgstore.Options{
		DSN: s.DSN, Password: s.Password, Schema: s.Schema, ListenDSN: s.Listen,
		MaxConns: s.MaxConns, Timeout: time.Duration(s.Timeout),
	}
	if opts.ListenDSN == off {
		opts.ListenDSN, opts.Poll = "", true
	}
	return opts
}

// Interface guards
var (
	_ caddy.Module          = (*Store)(nil)
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddy.Validator       = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)

// Package postgres is the store module auth_sessions.stores.postgres: sessions in a PostgreSQL
// database that several Caddy instances can share.
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

// name is the name of the module within its namespace.
const name = "postgres"

// maxConns is the maximum of MaxConns.
const maxConns = 1000

func init() {
	caddy.RegisterModule(Store{})
}

// Store stores the sessions in a PostgreSQL database. Its strings may contain the placeholders
// `{env.X}` and `{file.path}`.
type Store struct {
	// The database: a URL (`postgres://user@host/database?sslmode=verify-full`) or keywords and
	// values (`host=... user=...`). Settings that it omits come from the environment: `PGHOST`,
	// `PGUSER`, `PGPASSWORD`, `PGSSLMODE` and so on.
	DSN string `json:"dsn,omitempty" placeholders:"resolve"`
	// The password, if it is not in the DSN. It may contain any character.
	Password string `json:"password,omitempty" placeholders:"resolve" example:"{env.PGPASSWORD}"`
	// The schema of the tables, which is created if it does not exist. Default: `auth_sessions`.
	Schema string `json:"schema,omitempty" placeholders:"resolve" example:"my_app"`
	// The DSN for listening for revocations, if the DSN is that of PgBouncer in transaction mode:
	// that of the database itself. `off` polls every 250 ms instead. Default: the DSN.
	Listen string `json:"listen,omitempty" placeholders:"resolve"`
	// How many statements run concurrently. Three more connections are reserved for background
	// work. Default: 16.
	MaxConns int `json:"max_conns,omitempty" example:"32"`
	// The timeout of each statement. Default: 5 s.
	Timeout caddy.Duration `json:"timeout,omitempty" example:"3s"`
}

// CaddyModule returns the Caddy module information.
func (Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "auth_sessions.stores.postgres",
		New: func() caddy.Module { return new(Store) },
	}
}

// off as Listen means polling.
const off = "off"

// Provision resolves placeholders.
func (s *Store) Provision(caddy.Context) error { return storemodule.Resolve(name, s) }

// Validate checks what can be checked without the database.
func (s Store) Validate() error {
	switch {
	case s.MaxConns < 0 || s.MaxConns > maxConns:
		return errors.New("store postgres: max_conns is 1 to 1000")
	case s.Timeout < 0:
		return errors.New("store postgres: timeout is negative")
	default:
		return nil
	}
}

// StoreKey returns a hash of everything that the store is opened with.
func (s *Store) StoreKey() (string, error) {
	o := s.options()
	return storemodule.Key(name, o.DSN, o.Password, o.Schema, o.ListenDSN, o.Poll, o.MaxConns, o.Timeout), nil
}

// StoreLocation returns the server, the database and the schema.
func (s *Store) StoreLocation() string {
	opts := s.options()
	return opts.Location()
}

// OpenStore connects to the database, and creates or migrates the schema if necessary.
func (s *Store) OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error) {
	opts := s.options()
	opts.Log = storemodule.Log(logger)
	return storemodule.Open(ctx, name, pgstore.Open, opts)
}

// OpenExisting connects to the database if it contains a store of ours.
func (s *Store) OpenExisting(ctx context.Context, logger *zap.Logger) (sessions.Store, error) {
	opts := s.options()
	opts.MustExist, opts.Log = true, storemodule.Log(logger)
	return storemodule.Open(ctx, name, pgstore.Open, opts)
}

// options returns the options of the store.
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

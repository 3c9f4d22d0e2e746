// Package redis is the store module auth_sessions.stores.redis: sessions in Redis, or a Redis
// Cluster, that several Caddy instances can share.
package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/storemodule"
	"authsidecar/sessions"
	"authsidecar/sessions/redisstore"
)

func init() {
	caddy.RegisterModule(Store{})
}

// Store stores the sessions in Redis. Its strings may contain the placeholders `{env.X}` and
// `{file.path}`.
type Store struct {
	// The address of the server: `redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS,
	// `unix://`. One node of a Redis Cluster suffices; `?addr=host:port&addr=...` adds more.
	// `?master_set=name` is for Sentinels, whose addresses these then are. Default:
	// `redis://127.0.0.1:6379`.
	URL string `json:"url,omitempty" placeholders:"resolve"`
	// The password, if it is not in the URL. It may contain any character.
	Password string `json:"password,omitempty" placeholders:"resolve" example:"{env.REDIS_PASSWORD}"`
	// The user and the password for Sentinels that require them.
	SentinelUser     string `json:"sentinel_user,omitempty" placeholders:"resolve" example:"sidecar"`
	SentinelPassword string `json:"sentinel_password,omitempty" placeholders:"resolve" example:"{env.SENTINEL_PASSWORD}"`
	// A PEM file of the CAs that are trusted for the server, instead of those of the system. Only
	// with `rediss://`.
	CA string `json:"ca,omitempty" placeholders:"resolve" example:"/etc/redis/ca.pem"`
	// The prefix of all keys, before a colon. Default: `auth_sessions`.
	Prefix string `json:"prefix,omitempty" placeholders:"resolve" example:"my-app"`
	// How many replicas must confirm a write before it is acknowledged. Default: none.
	WaitReplicas int `json:"wait_replicas,omitempty"`
	// How long to wait for them before the answer is 503. Default: 1 s.
	WaitTimeout caddy.Duration `json:"wait_timeout,omitempty"`
	// How many calls are made concurrently. Default: 256; 64 with wait_replicas, where each has a
	// connection of its own.
	MaxCalls int `json:"max_calls,omitempty" example:"512"`
	// The timeout of each call. Default: 5 s.
	Timeout caddy.Duration `json:"timeout,omitempty" example:"3s"`
}

const (
	// name is the name of the module within its namespace.
	name = "redis"

	maxCalls    = 10_000
	maxReplicas = 100
)

// CaddyModule returns the Caddy module information.
func (Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "auth_sessions.stores.redis",
		New: func() caddy.Module { return new(Store) },
	}
}

// Provision resolves placeholders.
func (s *Store) Provision(caddy.Context) error { return storemodule.Resolve(name, s) }

// Validate checks what can be checked without the server.
func (s Store) Validate() error {
	switch {
	case s.MaxCalls < 0 || s.MaxCalls > maxCalls:
		return errors.New("store redis: max_calls is 1 to 10000")
	case s.WaitReplicas < 0 || s.WaitReplicas > maxReplicas:
		return errors.New("store redis: wait_replicas is 0 to 100")
	case s.Timeout < 0 || s.WaitTimeout < 0:
		return errors.New("store redis: a time is negative")
	default:
		return nil
	}
}

// StoreKey returns a hash of everything that the store is opened with.
func (s *Store) StoreKey() (string, error) {
	o := s.options()
	return storemodule.Key(name, o.URL, o.Password, o.SentinelUser, o.SentinelPassword, o.Prefix, s.CA,
		o.Replicas, o.ReplicaTimeout, o.MaxCalls, o.Timeout), nil
}

// StoreLocation returns the server, the database and the prefix.
func (s *Store) StoreLocation() string {
	opts := s.options()
	return opts.Location()
}

// OpenStore connects to the server.
func (s *Store) OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error) {
	return s.open(ctx, logger, false)
}

// OpenExisting connects to the server if it contains a store of ours.
func (s *Store) OpenExisting(ctx context.Context, logger *zap.Logger) (sessions.Store, error) {
	return s.open(ctx, logger, true)
}

func (s *Store) open(ctx context.Context, logger *zap.Logger, mustExist bool) (sessions.Store, error) {
	opts := s.options()
	opts.MustExist, opts.Log = mustExist, storemodule.Log(logger)
	if s.CA != "" {
		var err error
		if opts.TLS, err = trust(s.CA); err != nil {
			return nil, storemodule.Wrap(name, err)
		}
	}
	return storemodule.Open(ctx, name, redisstore.Open, opts)
}

// trust reads the CAs that are trusted for the server.
func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// options returns the options of the store.
func (s *Store) options() redisstore.Options {
	return redisstore.Options{
		URL: s.URL, Password: s.Password, SentinelUser: s.SentinelUser, SentinelPassword: s.SentinelPassword, Prefix: s.Prefix,
		Replicas: s.WaitReplicas, ReplicaTimeout: time.Duration(s.WaitTimeout),
		MaxCalls: s.MaxCalls, Timeout: time.Duration(s.Timeout),
	}
}

// Interface guards
var (
	_ caddy.Module          = (*Store)(nil)
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddy.Validator       = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)

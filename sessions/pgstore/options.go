package pgstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say which database, and how it is used. The zero value is what the PG*
// variables of the environment say, in the schema "auth_sessions".
type Options struct {
	// DSN is a URL (postgres://user@host:5432/database?sslmode=verify-full) or words
	// (host=... user=...). What it does not say is taken from the PG* variables.
	DSN string
	// Password goes before the one of the DSN. It may hold any character.
	Password string
	// Schema is where the tables are; any name. Default: auth_sessions.
	Schema string
	// MustExist opens a store that is there, and makes none: sessions.ErrNoStore.
	MustExist bool
	// ListenDSN is where LISTEN is said: past a PgBouncer in transaction mode, which
	// hears nothing. Default: the DSN.
	ListenDSN string
	// Poll asks for what was revoked, each revocation.Heartbeat, instead of
	// listening. That is done by itself where the database cannot be listened to.
	Poll bool
	// MaxConns is how many statements run at once. Background work has two
	// connections of its own, and one that listens. Default: 16.
	MaxConns int
	// Timeout bounds each statement, here and in the server. Default: 5 s.
	Timeout time.Duration
	// Wait bounds how long a call waits for a connection. Default: 1 s.
	Wait time.Duration
	// Now replaces the server's clock, for tests. Nil is the server's.
	Now func() time.Time
	// Clock is this machine's, which measures how time passes between two answers
	// of the server. Default: time.Now.
	Clock func() time.Time
	// Log gets what an operator should know. Default: none.
	Log *slog.Logger
}

const (
	defaultSchema   = "auth_sessions"
	defaultMaxConns = 16
	defaultTimeout  = 5 * time.Second
	defaultWait     = time.Second
	// background is how many connections are kept for what must not wait in line:
	// heartbeats, polls, and sweeps.
	background = 2
	// waitingPerConn is how many calls may wait for each connection; whoever comes
	// after them is refused at once.
	waitingPerConn = 64
)

func (o *Options) defaults() {
	o.Schema = cmp.Or(o.Schema, defaultSchema)
	o.MaxConns = cmp.Or(max(o.MaxConns, 0), defaultMaxConns)
	o.Timeout = cmp.Or(max(o.Timeout, 0), defaultTimeout)
	o.Wait = cmp.Or(max(o.Wait, 0), defaultWait)
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the default of the clock
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// errDSN does not say what is wrong: that would quote the DSN, and its password.
var errDSN = errors.New("the DSN, or what the PG* variables say, cannot be read")

// pool makes the configuration of the pool.
func (o *Options) pool() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.DSN)
	if err != nil {
		return nil, errDSN
	}
	config.MaxConns = int32(o.MaxConns + background)
	if config.ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		config.ConnConfig.DefaultQueryExecMode = modePooled // the DSN says not to prepare
	}
	config.MinConns, config.MinIdleConns = 0, 0
	config.PingTimeout = o.Wait
	o.connection(&config.ConnConfig.Config)
	// A plan that is kept was made for as few rows as there were then.
	config.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	config.ConnConfig.RuntimeParams[settingTimeout] = strconv.FormatInt(o.Timeout.Milliseconds(), 10)
	return config, nil
}

// listener makes the configuration of the connection that listens.
func (o *Options) listener() (*pgconn.Config, error) {
	config, err := pgx.ParseConfig(cmp.Or(o.ListenDSN, o.DSN))
	if err != nil {
		return nil, errDSN
	}
	o.connection(&config.Config)
	return &config.Config, nil
}

// connection sets what all connections have in common.
func (o *Options) connection(config *pgconn.Config) {
	config.RuntimeParams = maps.Clone(config.RuntimeParams)
	if config.RuntimeParams == nil {
		config.RuntimeParams = make(map[string]string)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "authsidecar"
	}
	if o.Password != "" {
		config.Password = o.Password
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > o.Timeout {
		config.ConnectTimeout = o.Timeout
	}
	if len(config.Fallbacks) > 0 && config.ValidateConnect == nil {
		// Of several hosts, the one that may write.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
}

// Location says which database it is, for people, without who may use it; "" if the
// options cannot be read.
func (o Options) Location() string {
	o.defaults()
	config, err := pgconn.ParseConfig(o.DSN)
	if err != nil {
		return ""
	}
	hosts := []string{fmt.Sprintf("%s:%d", config.Host, config.Port)}
	for _, f := range config.Fallbacks { // each host again, without TLS
		if host := fmt.Sprintf("%s:%d", f.Host, f.Port); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return fmt.Sprintf("%s, database %s, schema %s", strings.Join(hosts, ","), config.Database, o.Schema)
}

// exposed returns a host that is not this machine and to which a connection may be without TLS,
// or with a certificate that is not verified; "" where there is none.
func exposed(config *pgconn.Config) string {
	if open(config.Host, config.TLSConfig) {
		return config.Host
	}
	for _, f := range config.Fallbacks {
		if open(f.Host, f.TLSConfig) {
			return f.Host
		}
	}
	return ""
}

func open(host string, config *tls.Config) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" { // a socket of this machine
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return false
	}
	return config == nil || config.InsecureSkipVerify && config.VerifyPeerCertificate == nil && config.VerifyConnection == nil
}

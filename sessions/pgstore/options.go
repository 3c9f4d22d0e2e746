package pgstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"authsidecar/sessions/internal/calls"
)

// Options are the options of a store. The zero value uses the PG* variables of the environment and
// the schema "auth_sessions".
type Options struct {
	// DSN is a URL (postgres://user@host:5432/database?sslmode=verify-full) or keywords and values
	// (host=... user=...). Settings that it omits come from the PG* variables.
	DSN string
	// Password overrides the password of the DSN. It may contain any character.
	Password string
	// Schema is the schema of the tables; any name. Default: auth_sessions.
	Schema string
	// MustExist returns sessions.ErrNoStore instead of creating a store.
	MustExist bool
	// ListenDSN is the DSN for LISTEN, to bypass PgBouncer in transaction mode, which does not
	// support it. Default: the DSN.
	ListenDSN string
	// Poll polls for revocations every revocation.Heartbeat instead of using LISTEN. This happens
	// by itself if LISTEN does not work.
	Poll bool
	// MaxConns is how many statements run concurrently. Background work has two more connections,
	// and LISTEN another. Default: 16.
	MaxConns int
	// Timeout limits each statement, on both sides. Default: 5 s.
	Timeout time.Duration
	// Wait limits how long a call waits for a connection. Default: 1 s.
	Wait time.Duration
	// Now replaces the server's clock in tests. Nil means the server's.
	Now func() time.Time
	// Clock is the clock of this machine, for the time between two responses of the server.
	// Default: time.Now.
	Clock func() time.Time
	// Log receives what an operator should know. By default nothing is logged.
	Log *slog.Logger
}

const (
	defaultSchema   = "auth_sessions"
	defaultMaxConns = 16
	defaultTimeout  = 5 * time.Second
	defaultWait     = time.Second
	// background is how many connections are reserved for work that must not wait in the lanes:
	// heartbeats, polls and sweeps.
	background = 2
	// waitingPerConn is how many calls may wait for each connection; further calls are refused at
	// once.
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

// errDSN does not say what is wrong, since that would quote the DSN and its password.
var errDSN = errors.New("the DSN, or what the PG* variables say, cannot be read")

// pool returns the configuration of the pool.
func (o *Options) pool() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.DSN)
	if err != nil {
		return nil, errDSN
	}
	config.MaxConns = int32(o.MaxConns + background)
	if config.ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		config.ConnConfig.DefaultQueryExecMode = modePooled // the DSN forbids preparing
	}
	config.MinConns, config.MinIdleConns = 0, 0
	config.PingTimeout = o.Wait
	o.connection(&config.ConnConfig.Config)
	// A cached plan may have been made when there were few rows.
	config.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	config.ConnConfig.RuntimeParams[settingTimeout] = strconv.FormatInt(o.Timeout.Milliseconds(), 10)
	return config, nil
}

// listener returns the configuration of the connection that listens.
func (o *Options) listener() (*pgconn.Config, error) {
	config, err := pgx.ParseConfig(cmp.Or(o.ListenDSN, o.DSN))
	if err != nil {
		return nil, errDSN
	}
	o.connection(&config.Config)
	return &config.Config, nil
}

// connection sets what all connections share.
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
		// Of several hosts, the writable one.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
}

// Location returns which database it is, for people to read, without the user and the password; ""
// if the options cannot be parsed.
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

// exposed returns a host other than this machine to which a connection may have no TLS, or an
// unverified certificate; "" if there is none.
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
	if strings.HasPrefix(host, "/") || calls.IsThisMachine(host) { // "/": a socket
		return false
	}
	return config == nil || config.InsecureSkipVerify && config.VerifyPeerCertificate == nil && config.VerifyConnection == nil
}

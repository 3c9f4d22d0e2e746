package redisstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions/internal/calls"
)

// Options are the options of a store. The zero value means redis://127.0.0.1:6379, with keys that
// begin with "auth_sessions:".
type Options struct {
	// URL is the address of the server:
	//
	//	redis://[user[:password]@]host[:port][/db]        a server, or a node of a cluster
	//	...?addr=host:port&addr=host:port                 more nodes of the cluster
	//	...?master_set=name&addr=host:port                Sentinels, and the name that they monitor
	//	unix://[user[:password]@]/path/to/socket[?db=1]
	//
	// rediss:// is the same with TLS and verified certificates.
	URL string
	// Password overrides the password of the URL. It may contain any character.
	Password string
	// SentinelUser and SentinelPassword are for Sentinels that require them.
	SentinelUser, SentinelPassword string
	// TLS replaces the configuration of rediss://, for your own CA or certificate. It has no effect
	// without rediss://.
	TLS *tls.Config
	// Prefix is the prefix of all keys, before a colon: only letters, digits, _ and -. Default:
	// auth_sessions.
	Prefix string
	// MustExist returns sessions.ErrNoStore instead of creating a store.
	MustExist bool
	// Replicas is how many replicas must confirm a write before it is acknowledged; otherwise,
	// after ReplicaTimeout, the error is ErrReplicas. 0 requires none.
	Replicas int
	// ReplicaTimeout is how long to wait for them. Default: 1 s.
	ReplicaTimeout time.Duration
	// MaxCalls is how many calls are made concurrently. Default: 256, or 64 with Replicas, where
	// each call has a connection of its own.
	MaxCalls int
	// Timeout limits each call to the server. Default: 5 s.
	Timeout time.Duration
	// Wait limits how long a call waits while MaxCalls are under way. Default: 1 s.
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
	defaultURL       = "redis://127.0.0.1:6379"
	defaultPrefix    = "auth_sessions"
	defaultCalls     = 256
	defaultConnCalls = 64
	defaultTimeout   = 5 * time.Second
	defaultWait      = time.Second
	// waitingPerCall is how many calls may wait for each that is under way; further calls are
	// refused at once.
	waitingPerCall = 8
	// background is how many connections are reserved for work that does not wait in the lanes: the
	// feed, heartbeats, sweeps.
	background = 40
)

func (o *Options) defaults() {
	o.URL = cmp.Or(o.URL, defaultURL)
	o.Prefix = cmp.Or(o.Prefix, defaultPrefix)
	most := defaultCalls
	if o.Replicas > 0 {
		most = defaultConnCalls
	}
	o.MaxCalls = cmp.Or(max(o.MaxCalls, 0), most)
	o.ReplicaTimeout = cmp.Or(max(o.ReplicaTimeout, 0), defaultWait)
	o.Timeout = cmp.Or(max(o.Timeout, 0), defaultTimeout)
	o.Wait = cmp.Or(max(o.Wait, 0), defaultWait)
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the default of the clock
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

var (
	// errURL does not say what is wrong, since that would quote the URL and its password.
	errURL    = errors.New("the URL cannot be read: write redis://host:6379, rediss:// for TLS")
	errPrefix = errors.New("the prefix has other characters than letters, digits and _-")

	prefixes = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)
)

// known are the supported parameters of a URL; misspelt ones must not be ignored.
var known = map[string]bool{"addr": true, "master_set": true, "db": true}

// client returns the configuration of the client.
func (o *Options) client() (c rueidis.ClientOption, err error) {
	if !prefixes.MatchString(o.Prefix) {
		return c, errPrefix
	}
	if o.Replicas > 0 && o.ReplicaTimeout >= o.Timeout {
		return c, errors.New("the time that replicas have is not shorter than that of the call")
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "unix" && u.Host == "" || u.Fragment != "" {
		return c, errURL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, errURL
	}
	for name := range query {
		if !known[name] {
			return c, fmt.Errorf("the URL has a parameter %q: known are addr, db and master_set", name)
		}
	}
	if u.Path == "/" { // not a database
		u.Path = ""
	}
	if c, err = rueidis.ParseURL(u.String()); err != nil {
		return c, errURL
	}
	if c.TLSConfig != nil && o.TLS != nil {
		c.TLSConfig = o.TLS.Clone()
	}
	c.Password = cmp.Or(o.Password, c.Password)
	c.ClientName = "authsidecar"
	c.Sentinel.Username, c.Sentinel.Password, c.Sentinel.TLSConfig = o.SentinelUser, o.SentinelPassword, c.TLSConfig
	c.Sentinel.TopologyRefreshInterval = 5 * time.Second
	c.Dialer = net.Dialer{Timeout: min(o.Timeout, 2*time.Second), KeepAlive: time.Second}
	c.Sentinel.Dialer = c.Dialer
	c.ConnWriteTimeout = o.Timeout
	c.BlockingPoolSize = o.MaxCalls + background
	// No retries, which would repeat writes, and no client-side cache.
	c.DisableRetry, c.DisableCache = true, true
	// With pipelining, every connection always has a reader, so that a broken one is not used
	// again.
	c.AlwaysPipelining = true
	c.ReadBufferEachConn, c.WriteBufferEachConn = 1<<16, 1<<16
	c.ClusterOption.MaxMovedRedirections = 5
	return c, nil
}

// Location returns which database it is, for people to read, without the user and the password; ""
// if the options cannot be parsed.
func (o Options) Location() string {
	o.defaults()
	c, err := o.client()
	if err != nil {
		return ""
	}
	servers := strings.Join(c.InitAddress, ",")
	if c.Sentinel.MasterSet != "" {
		servers = c.Sentinel.MasterSet + " of " + servers
	}
	return fmt.Sprintf("%s, database %d, prefix %s", servers, c.SelectDB, o.Prefix)
}

// exposed returns an address other than this machine to which the connection has no TLS; "" if
// there is none.
func exposed(u string, c *rueidis.ClientOption) string {
	if parsed, err := url.Parse(u); err == nil && parsed.Scheme == "unix" {
		return ""
	}
	for _, addr := range c.InitAddress {
		host, _, err := net.SplitHostPort(addr)
		if err == nil && !calls.IsThisMachine(host) && (c.TLSConfig == nil || c.TLSConfig.InsecureSkipVerify) {
			return addr
		}
	}
	return ""
}

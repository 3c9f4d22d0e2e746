package bearer

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"authsidecar/sessions/jose"
)

// How a Remote asks.
const (
	// MaxFetch is how long getting keys may take in all: discovery, redirects and
	// the body.
	MaxFetch = 5 * time.Second
	// Keys are asked for again when the server's max-age is over (RFC 9111 section
	// 5.2.2.1), within these bounds: an hour, since a key that the issuer withdrew
	// is good until then.
	DefaultRefresh = 15 * time.Minute
	MinRefresh     = 5 * time.Minute
	MaxRefresh     = time.Hour
	// After a failure they are asked for after MinRetry, and then ever later up
	// to MaxRetry.
	MinRetry = time.Second
	MaxRetry = time.Minute

	DefaultCooldown = 30 * time.Second
	DefaultMaxStale = 24 * time.Hour
)

// A RemoteConfig is what a Remote is made of.
type RemoteConfig struct {
	// Issuer is whose keys these are. Required.
	Issuer string
	// URL of the JWKS. Default: discovery at the issuer, by OpenID Connect
	// Discovery 1.0 section 4, else by RFC 8414 section 3.
	URL string
	// Keys says which keys of it are used. Symmetric ones never are.
	Keys jose.KeyPolicy
	// InsecureHTTP lets URLs be http: and not only those of the loopback. Whoever
	// is on the way can then make up keys.
	InsecureHTTP bool
	// MaxStale is how long keys are used that cannot be got again, MaxRefresh at
	// least. Default: DefaultMaxStale.
	MaxStale time.Duration
	// Cooldown is the least time between two fetches for the sake of unknown key
	// ids. Default: DefaultCooldown.
	Cooldown time.Duration
	// Timeout is how long a fetch may take in all. Default and maximum: MaxFetch.
	Timeout time.Duration
	// RootCAs are whom to believe that they are the issuer, or the server of URL. Default:
	// whom the system believes.
	RootCAs *x509.CertPool
	// Token returns a bearer token for URL, and for nobody else, each time that it is
	// asked. Nil for none.
	Token func() (string, error)
	// Transport makes the requests. Default: the one of net/http, with the proxy
	// of the environment, no kept connections and no compression.
	Transport http.RoundTripper
	// Memory keeps the last good keys over restarts. Nil for none.
	Memory Memory
	// Log gets changes and failures. Default: nothing is logged.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Remote is the keys of an issuer that publishes them. It asks for them in
// Run only, one fetch at a time. The last good ones are used while new ones
// cannot be got (errors, or no usable key), for MaxStale.
//
// A key id that is not among them makes Run ask at once, but once a Cooldown:
// the set that was got then says for all other ids of that time that they are
// unknown, so that nothing is kept of ids that somebody makes up. A new key of
// the issuer is found by the first fetch after it appeared, a Cooldown later at
// the most.
type Remote struct {
	config RemoteConfig
	jwks   *url.URL // nil for discovery
	source string   // for people
	client *http.Client
	good   lastGood
	ask    chan struct{} // somebody waits for new keys

	mu       sync.Mutex
	ended    bool          // Run is over
	fetching bool          // a fetch is under way
	asked    time.Time     // start of the last fetch that somebody asked for
	done     chan struct{} // closed when the next fetch is over
	next     time.Time     // when Run will ask by itself
	failures int           // in a row
	err      error         // of the last fetch
}

// NewRemote checks the configuration. Nothing is asked yet.
func NewRemote(c RemoteConfig) (*Remote, error) {
	if c.Issuer == "" {
		return nil, errors.New("no issuer")
	}
	if c.Keys.Symmetric {
		return nil, errors.New("symmetric keys are not for publishing")
	}
	if c.Token != nil && c.URL == "" {
		return nil, errors.New("a token for no URL")
	}
	if err := c.setTimes(); err != nil {
		return nil, err
	}
	r := &Remote{ask: make(chan struct{}, 1), done: make(chan struct{})}
	base, err := checkURL(cmp.Or(c.URL, c.Issuer), c.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	r.source = "discovery"
	if c.URL != "" { // a query may hold what is not for people
		r.jwks, r.source = base, (&url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path}).String()
	}
	if c.Transport == nil {
		c.Transport = defaultTransport(c.RootCAs)
	}
	r.client = &http.Client{Transport: c.Transport, CheckRedirect: checkRedirect}
	c.Log, c.Now = logger(c.Log).With(slog.String("issuer", c.Issuer), slog.String("server", base.Host+base.EscapedPath())), clock(c.Now)
	r.config = c
	return r, nil
}

func (c *RemoteConfig) setTimes() error {
	for _, field := range [...]struct {
		name             string
		value            *time.Duration
		preset, min, max time.Duration
	}{
		{"max stale", &c.MaxStale, DefaultMaxStale, MaxRefresh, 30 * 24 * time.Hour},
		{"cooldown", &c.Cooldown, DefaultCooldown, time.Second, MaxRefresh},
		{"timeout", &c.Timeout, MaxFetch, time.Millisecond, MaxFetch},
	} {
		if *field.value == 0 {
			*field.value = field.preset
		}
		if *field.value < field.min || *field.value > field.max {
			return fmt.Errorf("%s is not %s to %s", field.name, field.min, field.max)
		}
	}
	return nil
}

// Key finds a key of the issuer. It waits only if the keys at hand do not have
// the id: for the fetch that is under way or that it may ask for, until ctx ends
// or for Timeout. ErrKeysUnavailable: there are no keys, or the id is unknown
// and new keys could not be got.
func (r *Remote) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := r.lookup(kid, alg)
	if err == nil || errors.Is(err, jose.ErrAlgorithm) {
		return key, err
	}
	renewed := r.renew(ctx)
	key, err = r.lookup(kid, alg)
	if renewed != nil && errors.Is(err, jose.ErrUnknownKey) {
		return nil, renewed
	}
	return key, err
}

func (r *Remote) lookup(kid string, alg jose.Algorithm) (*jose.Key, error) {
	now := r.usable()
	if now == nil {
		return nil, ErrKeysUnavailable
	}
	return now.set.Lookup(kid, alg)
}

// usable returns the last good keys, unless they are too old.
func (r *Remote) usable() *snapshot {
	last := r.good.current.Load()
	if last == nil || !r.config.Now().Before(last.at.Add(r.config.MaxStale)) {
		return nil
	}
	return last
}

// Version changes with the keys, and is 0 while there are none to be used.
func (r *Remote) Version() uint64 {
	if now := r.usable(); now != nil {
		return now.version
	}
	return 0
}

// renew waits for new keys, if they may be had now. The error wraps
// ErrKeysUnavailable and says that the keys at hand may not be the newest.
func (r *Remote) renew(ctx context.Context) error {
	r.mu.Lock()
	done, wait := r.done, r.fetching
	if !wait && !r.ended && r.mayAsk() {
		wait = true
		select {
		case r.ask <- struct{}{}:
		default: // somebody else asked already
		}
	}
	r.mu.Unlock()
	if wait {
		ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
		defer cancel()
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("%w: waiting for them: %w", ErrKeysUnavailable, ctx.Err())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return fmt.Errorf("%w: %w", ErrKeysUnavailable, r.err)
	}
	return nil
}

// mayAsk reports whether the last fetch that was asked for is a cooldown ago.
// The lock is held.
func (r *Remote) mayAsk() bool {
	return !r.config.Now().Before(r.asked.Add(r.config.Cooldown))
}

// Status returns what is at hand.
func (r *Remote) Status() Status {
	last := r.good.current.Load()
	status := Status{Issuer: r.config.Issuer, Source: r.source, Keys: last.status()}
	if last != nil {
		status.FetchedAt, status.UsableUntil = last.at, last.at.Add(r.config.MaxStale)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	status.RefreshAt = r.next
	if r.err != nil {
		status.Error = r.err.Error()
	}
	return status
}

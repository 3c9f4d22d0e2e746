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

// Timing of a Remote.
const (
	// MaxFetch is the time limit of a fetch: discovery, redirects and body.
	MaxFetch = 5 * time.Second
	// Keys are fetched again when the server's max-age is over (RFC 9111 section 5.2.2.1), within
	// these limits: at most an hour, since a key that the issuer withdrew is valid until then.
	DefaultRefresh = 15 * time.Minute
	MinRefresh     = 5 * time.Minute
	MaxRefresh     = time.Hour
	// After a failure, keys are fetched again after MinRetry, and then at growing intervals up to
	// MaxRetry.
	MinRetry = time.Second
	MaxRetry = time.Minute
	// Cooldown is the minimum time between two fetches for unknown key ids.
	Cooldown = 30 * time.Second
	// MaxStale is how long keys stay in use while they cannot be fetched again.
	MaxStale = 24 * time.Hour
)

// A RemoteConfig is the configuration of a Remote.
type RemoteConfig struct {
	// Issuer is the issuer whose keys these are. Required.
	Issuer string
	// URL of the JWKS. By default it is discovered at the issuer, by OpenID Connect Discovery 1.0
	// section 4 or else RFC 8414 section 3.
	URL string
	// Keys selects the keys that are used. Symmetric ones never are.
	Keys jose.KeyPolicy
	// InsecureHTTP allows http URLs beyond loopback addresses. Anyone on the network path can then
	// plant keys.
	InsecureHTTP bool
	// RootCAs are the trusted CAs for the issuer and the server of URL. Default: those of the
	// system.
	RootCAs *x509.CertPool
	// Token returns the bearer token for each request of URL, and only for that. Nil for none.
	Token func() (string, error)
	// Transport sends the requests. By default it is that of net/http, with the proxy of the
	// environment, no keep-alive and no compression.
	Transport http.RoundTripper
	// Memory stores the last usable keys across restarts. Nil for none.
	Memory Memory
	// Log receives changes and failures. By default nothing is logged.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Remote provides the keys that an issuer publishes. Only Run fetches them, one fetch at a time.
// If keys cannot be fetched (errors, or no usable key), the last ones stay in use for MaxStale.
//
// An unknown key id makes Run fetch at once, but only once per Cooldown. Until the next fetch, the
// new set decides that all other ids are unknown, so nothing is stored for made-up ids. A new key
// of the issuer is found by the first fetch after it appeared, at most a Cooldown later.
type Remote struct {
	config  RemoteConfig
	timeout time.Duration // of a fetch: MaxFetch, less in tests
	jwks    *url.URL      // nil for discovery
	source  string        // for people to read
	client  *http.Client
	good    lastGood
	ask     chan struct{} // a request waits for new keys

	mu       sync.Mutex
	ended    bool          // Run is over
	fetching bool          // a fetch is under way
	asked    time.Time     // start of the last fetch on request
	done     chan struct{} // closed at the end of the next fetch
	next     time.Time     // when Run will fetch by itself
	failures int           // in a row
	err      error         // of the last fetch
}

// NewRemote validates the configuration. It makes no requests.
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
	r := &Remote{timeout: MaxFetch, ask: make(chan struct{}, 1), done: make(chan struct{})}
	base, err := checkURL(cmp.Or(c.URL, c.Issuer), c.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	r.source = "discovery"
	if c.URL != "" { // a query may contain secrets
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

// Key returns a key of the issuer. It waits only if the current keys lack the id: for a fetch that
// is under way or that it may request, until ctx ends or for MaxFetch. ErrKeysUnavailable means that
// there are no keys, or that the id is unknown and new keys could not be fetched.
func (r *Remote) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := r.usable().lookup(kid, alg)
	if err == nil || errors.Is(err, jose.ErrAlgorithm) {
		return key, err
	}
	renewed := r.renew(ctx)
	key, err = r.usable().lookup(kid, alg)
	if renewed != nil && errors.Is(err, jose.ErrUnknownKey) {
		return nil, renewed
	}
	return key, err
}

// usable returns the last good keys, unless they are too old.
func (r *Remote) usable() *snapshot {
	last := r.good.current.Load()
	if last == nil || !r.config.Now().Before(last.at.Add(MaxStale)) {
		return nil
	}
	return last
}

// Version changes when the keys change, and is 0 while there are no usable keys.
func (r *Remote) Version() uint64 { return r.usable().number() }

// renew waits for new keys, if they may be fetched now. The error wraps ErrKeysUnavailable and
// means that the current keys may be outdated.
func (r *Remote) renew(ctx context.Context) error {
	r.mu.Lock()
	done, wait := r.done, r.fetching
	if !wait && !r.ended && r.mayAsk() {
		wait = true
		select {
		case r.ask <- struct{}{}:
		default: // a fetch is already requested
		}
	}
	r.mu.Unlock()
	if wait {
		ctx, cancel := context.WithTimeout(ctx, r.timeout)
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

// mayAsk reports whether the cooldown since the last requested fetch is over. The lock is held.
func (r *Remote) mayAsk() bool {
	return !r.config.Now().Before(r.asked.Add(Cooldown))
}

// Status returns the current state.
func (r *Remote) Status() Status {
	last := r.good.current.Load()
	status := Status{Issuer: r.config.Issuer, Source: r.source, Keys: last.status()}
	if last != nil {
		status.FetchedAt, status.UsableUntil = last.at, last.at.Add(MaxStale)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	status.RefreshAt = r.next
	if r.err != nil {
		status.Error = r.err.Error()
	}
	return status
}

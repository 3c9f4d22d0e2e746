package signin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/urlpath"
)

// Limits on sign-ins.
const (
	// MaxFlow is how long a person may take at the provider.
	MaxFlow = 30 * time.Minute
	// MaxFlows is how many flows of a browser can be pending, for example in several tabs; the
	// oldest is dropped.
	MaxFlows = 4
	// MaxReturnTo is the maximum length of a way back, in bytes: each flow keeps one in a cookie.
	MaxReturnTo = 1024
	// maxAnswer is the maximum size of a response of the provider, in bytes.
	maxAnswer = 1 << 20
	// maxAtOnce is how many codes are exchanged concurrently.
	maxAtOnce = 64
	// requestTimeout is how long the provider may take to respond.
	requestTimeout = 10 * time.Second
	// idTokenAge is the maximum age of a newly issued ID token.
	idTokenAge = 10 * time.Minute
)

// Config is the configuration of a Client. Everything is required unless stated otherwise.
type Config struct {
	// Issuer is the provider's issuer; its discovery document is below it.
	Issuer string
	// ClientID and ClientSecret are our credentials at the provider; the secret of a public client
	// is "".
	ClientID, ClientSecret string
	// Scopes are requested in addition to openid. Optional.
	Scopes []string
	// Origins are the origins of the site, as in https://app.example.com. The provider redirects to
	// the one where the flow began, or to the first if it began at any other host.
	Origins []string
	// OtherReturnTo is the only way back of sign-ins that begin at an origin other than the first;
	// with any other, they begin at the first. "" allows any.
	OtherReturnTo string
	// Path is where a sign-in begins; the provider redirects to CallbackPath.
	Path string
	// Verifier verifies ID tokens. Create it from the result of the function Issuer.
	Verifier Verifier
	// Key returns at least 32 bytes, the same on all nodes, from which the key for the cookies of
	// flows is derived.
	Key func() []byte
	// Cookie is the prefix of the cookies of flows. Secure means that they are sent only over
	// HTTPS.
	Cookie string
	Secure bool
	// HTTP is the client for requests to the provider: bearer.NewClient.
	HTTP *http.Client
	// InsecureHTTP allows plain HTTP for the provider's endpoints.
	InsecureHTTP bool
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Client is the OAuth client that this site is at the provider. It is safe for concurrent use.
type Client struct {
	Config
	own   urlpath.Own // paths that are no way back: the sign-in itself
	hosts []string    // of Origins
	http  *http.Client
	slots chan struct{}

	discovery singleflight.Group
	mu        sync.Mutex
	known     *provider
	due       time.Time // when discovery is repeated
}

// CallbackPath returns the path of the redirect URI for sign-ins that begin at path. It must be
// registered at the provider.
func CallbackPath(path string) string { return path + "/callback" }

// New validates the configuration and returns a client. It sends no request to the provider.
func New(c Config) (*Client, error) {
	if c.Issuer == "" || c.ClientID == "" || len(c.Origins) == 0 || c.Verifier == nil || c.HTTP == nil {
		return nil, errors.New("no issuer, client_id, origin, verifier or HTTP client")
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default of the clock
	}
	client := &Client{Config: c, own: urlpath.NewOwn(c.Path, true), slots: make(chan struct{}, maxAtOnce)}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" {
			return nil, errors.New("an origin is not an absolute URL")
		}
		client.hosts = append(client.hosts, hostOf(u.Host))
	}
	asks := *c.HTTP
	asks.Transport, asks.Timeout = limitedTransport{c.HTTP.Transport}, requestTimeout
	client.http = &asks
	return client, nil
}

// Issuer returns the configuration for verifying an issuer's ID tokens for the client: they are
// issued to it, are not marked as another kind of token, are signed with the issuer's public keys,
// and are fresh. The caller and the conditions are those of the issuer's bearer tokens.
func Issuer(of bearer.Issuer, clientID string) bearer.Issuer {
	of.Audiences, of.AudienceClaims = []string{clientID}, nil
	of.Types = []string{"JWT", bearer.NoType}
	of.IDTokens = idTokenAge
	of.Secret, of.Header = nil, ""
	return of
}

// originOf returns the origin that a request came to; ok is false for another host.
func (c *Client) originOf(r *http.Request) (origin string, ok bool) {
	for i, host := range c.hosts {
		if host == hostOf(r.Host) {
			return c.Origins[i], true
		}
	}
	return c.Origins[0], false
}

// hostOf returns a host in lower case, without a default port.
func hostOf(host string) string {
	host = strings.ToLower(host)
	for _, port := range [...]string{":443", ":80"} {
		host = strings.TrimSuffix(host, port)
	}
	return host
}

// returnPath returns where a person goes after the sign-in: a path of this site, and never another
// sign-in.
func (c *Client) returnPath(to string) string {
	to = urlpath.ASCII(to)
	if len(to) > MaxReturnTo || !urlpath.Local(to) {
		return "/"
	}
	u, err := url.ParseRequestURI(to)
	if err != nil || c.own.Match(u).Owner != urlpath.Pass {
		return "/"
	}
	return to
}

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

// Limits of sign-ins.
const (
	// MaxFlow is how long a person may take at the provider.
	MaxFlow = 30 * time.Minute
	// MaxFlows is how many flows of a browser wait at once, as in several tabs; the oldest
	// gives way.
	MaxFlows = 4
	// MaxReturnTo is how many bytes a way back may have: each flow keeps one in a cookie.
	MaxReturnTo = 1024
	// maxAnswer bounds what is read of an answer of the provider, in bytes.
	maxAnswer = 1 << 20
	// maxAtOnce bounds how many codes are swapped at once.
	maxAtOnce = 64
	// askTimeout is how long the provider may take to answer.
	askTimeout = 10 * time.Second
	// idTokenAge is how old an ID token may be that was just issued.
	idTokenAge = 10 * time.Minute
)

// Config is what a Client is made of. All of it is required unless it says otherwise.
type Config struct {
	// Issuer is the provider: its discovery document is below it.
	Issuer string
	// ClientID and ClientSecret are what we are at the provider; "" is the secret of a public
	// client.
	ClientID, ClientSecret string
	// Scopes are asked for beside openid. None is required.
	Scopes []string
	// Origins are those of the site, as in https://app.example.com: the answer comes back to
	// the one that the browser was at, and to the first from any other host.
	Origins []string
	// OtherWayBack is the one way back of sign-ins that begin at another origin than the first:
	// any other begins at the first. "" is any.
	OtherWayBack string
	// Path is where a sign-in begins; its answer comes to CallbackPath.
	Path string
	// Verifier verifies ID tokens: made of what Issuer returns.
	Verifier Verifier
	// Key returns at least 32 bytes, the same on all nodes, that seal the cookies of flows.
	Key func() []byte
	// Cookie begins the names of the cookies of flows, and Secure is set where they go over
	// HTTPS alone.
	Cookie string
	Secure bool
	// HTTP asks the provider: bearer.NewClient.
	HTTP *http.Client
	// InsecureHTTP lets the provider's endpoints be plain HTTP.
	InsecureHTTP bool
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Client is what this site is at the provider: a client of OAuth. It is safe for concurrent use.
type Client struct {
	Config
	own   urlpath.Own // what no way back leads to: the sign-in itself
	hosts []string    // of Origins
	http  *http.Client
	slots chan struct{}

	asking singleflight.Group
	mu     sync.Mutex
	known  *provider
	due    time.Time // when it is asked again
}

// CallbackPath is where the answers to sign-ins that begin at path come: the path of the redirect
// URI that the provider has to know.
func CallbackPath(path string) string { return path + "/callback" }

// New checks the configuration and returns a client for it. The provider is not asked yet.
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
	asks.Transport, asks.Timeout = bounded{c.HTTP.Transport}, askTimeout
	client.http = &asks
	return client, nil
}

// Issuer returns how the ID tokens of an issuer are verified, for the client: they are for it, say
// so by their type or say nothing, are signed by the issuer's public keys and are fresh. Who
// calls with one, and what is asked of them, is as with the bearer tokens of the issuer.
func Issuer(of bearer.Issuer, clientID string) bearer.Issuer {
	of.Audiences, of.AudienceClaims = []string{clientID}, nil
	of.Types = []string{"JWT", bearer.NoType}
	of.IDTokens = idTokenAge
	of.Secret, of.Header = nil, ""
	return of
}

// at returns which of the origins a request came to; ok is false for another host.
func (c *Client) at(r *http.Request) (origin string, ok bool) {
	for i, host := range c.hosts {
		if host == hostOf(r.Host) {
			return c.Origins[i], true
		}
	}
	return c.Origins[0], false
}

// hostOf returns a host in small letters and without the ports that are left out as a rule.
func hostOf(host string) string {
	host = strings.ToLower(host)
	for _, port := range [...]string{":443", ":80"} {
		host = strings.TrimSuffix(host, port)
	}
	return host
}

// wayBack returns where a person goes after the sign-in: to a path of this site, and never to
// another sign-in.
func (c *Client) wayBack(to string) string {
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

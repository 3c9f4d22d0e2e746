package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"authsidecar/sessions/bearer"
)

// How long a discovery document is cached, and how soon after a failure it is fetched again.
const (
	discoveryTTL   = time.Hour
	discoveryRetry = 10 * time.Second
)

// A provider is the discovery document of the issuer (OpenID Connect Discovery 1.0 section 3).
type provider struct {
	oauth      oauth2.Config
	namesIss   bool   // RFC 9207 section 3: authorization_response_iss_parameter_supported
	endSession string // OpenID Connect RP-Initiated Logout 1.0 section 2.1; "" for none
}

// metadata is the part that go-oidc leaves to its callers.
type metadata struct {
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	NamesIss    bool     `json:"authorization_response_iss_parameter_supported"`
	EndSession  string   `json:"end_session_endpoint"`
}

// discover returns the cached document, or fetches it if there is none or it is old. Only one fetch
// is under way at a time; if it fails, the last valid document stays in use.
func (c *Client) discover(ctx context.Context) (*provider, error) {
	c.mu.Lock()
	known, due := c.known, c.due
	c.mu.Unlock()
	if known != nil && c.Now().Before(due) {
		return known, nil
	}
	answer := c.discovery.DoChan("", func() (any, error) { return c.refreshProvider(context.WithoutCancel(ctx)) })
	select {
	case got := <-answer:
		if got.Err != nil {
			return nil, got.Err
		}
		return got.Val.(*provider), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// refreshProvider fetches the document and caches it.
func (c *Client) refreshProvider(ctx context.Context) (*provider, error) {
	found, err := c.fetch(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.known, c.due = found, c.Now().Add(discoveryTTL)
		return found, nil
	}
	if c.known != nil {
		c.due = c.Now().Add(discoveryRetry)
		return c.known, nil
	}
	return nil, err
}

func (c *Client) fetch(ctx context.Context) (*provider, error) {
	document, err := oidc.NewProvider(oidc.ClientContext(ctx, c.http), c.Issuer)
	if err != nil {
		return nil, discoveryError(err)
	}
	var more metadata
	if document.Claims(&more) != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, errDiscovery)
	}
	at := document.Endpoint()
	for _, said := range [...]string{at.AuthURL, at.TokenURL} {
		if bearer.CheckEndpoint(c.Issuer, said, c.InsecureHTTP) != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnswer, errEndpoint)
		}
	}
	if at.AuthStyle, err = c.authStyle(more.AuthMethods); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if bearer.CheckEndpoint(c.Issuer, more.EndSession, c.InsecureHTTP) != nil {
		more.EndSession = ""
	}
	return &provider{
		oauth: oauth2.Config{
			ClientID: c.ClientID, ClientSecret: c.ClientSecret, Endpoint: at,
			Scopes: append([]string{oidc.ScopeOpenID}, c.Scopes...),
		},
		namesIss: more.NamesIss, endSession: more.EndSession,
	}, nil
}

// authStyle returns how the client authenticates: as the provider says, or client_secret_basic if
// it does not (OpenID Connect Discovery 1.0 section 3). Trying one after the other would use the
// code twice.
func (c *Client) authStyle(methods []string) (oauth2.AuthStyle, error) {
	switch {
	case c.ClientSecret == "":
		return oauth2.AuthStyleInParams, nil
	case len(methods) == 0 || slices.Contains(methods, "client_secret_basic"):
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(methods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	default:
		return 0, errAuthMethod
	}
}

// discoveryError returns an error of go-oidc without the parts that quote the response.
func discoveryError(err error) error {
	if _, other := errors.AsType[*oidc.IssuerMismatchError](err); other {
		return fmt.Errorf("%w: %w", ErrAnswer, errOtherName)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%w: discovery: %w", ErrUnavailable, failed.Err)
	}
	return fmt.Errorf("%w: %w", ErrAnswer, errDiscovery)
}

// limitedTransport limits the size of responses to maxAnswer. If a document does not exist, the
// error is a bearer.StatusError.
type limitedTransport struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet && res.StatusCode != http.StatusOK && res.Header.Get("Location") == "" {
		_ = res.Body.Close()
		return nil, bearer.StatusError(res.StatusCode)
	}
	if res.ContentLength > maxAnswer {
		_ = res.Body.Close()
		return nil, errTooLarge
	}
	res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer) // reading more is an error
	return res, nil
}

// LogoutURL returns where a browser signs out at the provider (OpenID Connect RP-Initiated Logout
// 1.0 section 2) and then returns to a path of this site, whose URL must be registered at the
// provider. It returns "" if the provider has no such endpoint, or if that is unknown for now. hint
// identifies the user to the provider; "" if unknown. There is no ID token in the URL, since URLs
// end up in logs and histories; section 2 only recommends it. So the provider must ask the person.
func (c *Client) LogoutURL(r *http.Request, hint, back string) string {
	known, err := c.discover(r.Context())
	if err != nil || known.endSession == "" {
		return ""
	}
	origin, _ := c.originOf(r)
	query := url.Values{"client_id": {c.ClientID}, "post_logout_redirect_uri": {origin + back}}
	if hint != "" {
		query.Set("logout_hint", hint)
	}
	join := "?"
	if strings.Contains(known.endSession, "?") {
		join = "&"
	}
	return known.endSession + join + query.Encode()
}

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

// How long it is known what the provider said of itself, and after what time it is asked again
// where it could not be asked.
const (
	fresh = time.Hour
	retry = 10 * time.Second
)

// A provider is what the discovery document says of the issuer (OpenID Connect Discovery 1.0
// section 3).
type provider struct {
	oauth      oauth2.Config
	namesIss   bool   // RFC 9207 section 3: authorization_response_iss_parameter_supported
	endSession string // OpenID Connect RP-Initiated Logout 1.0 section 2.1; "" for none
}

// metadata is what go-oidc leaves to its callers.
type metadata struct {
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	NamesIss    bool     `json:"authorization_response_iss_parameter_supported"`
	EndSession  string   `json:"end_session_endpoint"`
}

// discover returns what is known of the provider, and asks it where that is nothing, or old. One
// question is under way at a time; the last good answer stays where it cannot be asked.
func (c *Client) discover(ctx context.Context) (*provider, error) {
	c.mu.Lock()
	known, due := c.known, c.due
	c.mu.Unlock()
	if known != nil && c.Now().Before(due) {
		return known, nil
	}
	answer := c.asking.DoChan("", func() (any, error) { return c.ask(context.WithoutCancel(ctx)) })
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

// ask asks the provider, and remembers what it says.
func (c *Client) ask(ctx context.Context) (*provider, error) {
	found, err := c.fetch(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.known, c.due = found, c.Now().Add(fresh)
		return found, nil
	}
	if c.known != nil {
		c.due = c.Now().Add(retry)
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

// authStyle returns how the client authenticates: as the provider says, and client_secret_basic
// where it says nothing (OpenID Connect Discovery 1.0 section 3). Trying the one and then the
// other would use the code twice.
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

// discoveryError returns an error of go-oidc without what it repeats of the answer.
func discoveryError(err error) error {
	if _, other := errors.AsType[*oidc.IssuerMismatchError](err); other {
		return fmt.Errorf("%w: %w", ErrAnswer, errOtherName)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%w: discovery: %w", ErrUnavailable, failed.Err)
	}
	return fmt.Errorf("%w: %w", ErrAnswer, errDiscovery)
}

// bounded asks, and reads no more than maxAnswer of an answer. A document that is not there is a
// bearer.StatusError.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
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
	res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer) // a longer one is an error
	return res, nil
}

// LogoutURL returns where a browser ends its session at the provider (OpenID Connect RP-Initiated
// Logout 1.0 section 2), and comes back to a path of this site, whose URL the provider has to know;
// "" where the provider has no such place, or that is unknown now. hint says who signs out; "" if
// that is unknown. No ID token is in it, which section 2 recommends and does not require: URLs are in logs and
// histories. A provider has to ask the person then.
func (c *Client) LogoutURL(r *http.Request, hint, back string) string {
	known, err := c.discover(r.Context())
	if err != nil || known.endSession == "" {
		return ""
	}
	origin, _ := c.at(r)
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

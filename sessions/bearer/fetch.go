package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/strictjson"
)

const maxDocumentDepth = 16 // of the JSON of a discovery document

// Errors of fetches. None contains a part of a URL or a response: both may be secret.
var (
	errTooMuch      = errors.New("over 1 MiB of keys")
	errDiscovery    = errors.New("not a discovery document")
	errOtherIssuer  = errors.New("discovery document of another issuer")
	errToken        = errors.New("the bearer token for the URL cannot be read, or is malformed")
	errBadDirective = errors.New("not a max-age")
)

// A StatusError is the status of a response other than 200.
type StatusError int

// Error returns a sentence with the status.
func (s StatusError) Error() string { return "answer has status " + strconv.Itoa(int(s)) }

// An OtherIssuerError means that the discovery document names another issuer than the one that was
// asked (RFC 8414 section 3.3). Name is the issuer that it names, and Keys its jwks_uri; both are
// unverified text.
type OtherIssuerError struct{ Name, Keys string }

// Error contains nothing of the document.
func (*OtherIssuerError) Error() string { return errOtherIssuer.Error() }

// Unwrap returns the error that all of them wrap.
func (*OtherIssuerError) Unwrap() error { return errOtherIssuer }

// fetched is a usable set of keys and the response that it came from.
type fetched struct {
	jwks    []byte
	set     *jose.Set
	skipped []jose.Skipped
	fresh   time.Duration
}

// fetch fetches the keys over the network.
func (r *Remote) fetch(ctx context.Context) (*fetched, error) {
	from := r.jwks
	if from == nil {
		found, err := r.discover(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDiscovery, err)
		}
		from = found
	}
	data, header, err := r.get(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	set, skipped, err := jose.ParseSet(data, r.config.Keys)
	if err := unusableKeysError(set, skipped, err); err != nil {
		return nil, err
	}
	return &fetched{jwks: data, set: set, skipped: skipped, fresh: freshness(header)}, nil
}

// discover asks the issuer for the location of its keys.
func (r *Remote) discover(ctx context.Context) (*url.URL, error) {
	issuer, err := checkURL(r.config.Issuer, r.config.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	origin := &url.URL{Scheme: issuer.Scheme, Host: issuer.Host}
	data, _, err := r.get(ctx, origin.JoinPath(path, ".well-known/openid-configuration"))
	if _, answered := errors.AsType[StatusError](err); answered {
		data, _, err = r.get(ctx, origin.JoinPath(".well-known/oauth-authorization-server", path))
	}
	if err != nil {
		return nil, err
	}
	document, err := strictjson.Object(data, maxDocumentDepth)
	if err != nil {
		return nil, errDiscovery
	}
	name, isName := text(document, "issuer")
	keys, isURL := text(document, "jwks_uri")
	if !isName || !isURL {
		return nil, errDiscovery
	}
	if name != r.config.Issuer { // RFC 8414 section 3.3
		return nil, &OtherIssuerError{Name: name, Keys: keys}
	}
	return checkDiscovered(issuer, keys, r.config.InsecureHTTP)
}

// get reads a small document. It sends and stores no cookies, and no credentials except the token
// for the URL of the keys.
func (r *Remote) get(ctx context.Context, from *url.URL) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, nil, errURL
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "authsidecar")
	if r.config.Token != nil && from == r.jwks {
		token, err := r.config.Token()
		if err != nil || !isToken68(token) {
			return nil, nil, errToken
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := r.client.Do(req)
	if err != nil {
		if inURL, ok := errors.AsType[*url.Error](err); ok {
			err = inURL.Err // without the URL
		}
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, nil, StatusError(res.StatusCode)
	}
	data, err := readAll(res.Body)
	return data, res.Header, err
}

// freshness returns how long the response may be cached, within our limits.
func freshness(h http.Header) time.Duration {
	fresh := DefaultRefresh
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return MinRefresh
		case "max-age":
			if age, err := seconds(value); err == nil {
				fresh = min(max(age, MinRefresh), MaxRefresh)
			}
		}
	}
	return fresh
}

// seconds reads a delta-seconds (RFC 9111 section 1.2.2), and clamps values that do not fit.
func seconds(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.Trim(s, `"`), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errBadDirective
	}
	return time.Duration(min(n, uint64(MaxRefresh/time.Second))) * time.Second, nil
}

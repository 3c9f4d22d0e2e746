package config

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"authsidecar/sessions/forward"
	"authsidecar/sessions/urlpath"
)

// Identity says how the app learns who sends each request. Our headers are removed from every
// request, and set if a token was verified.
type Identity struct {
	// Whether a request without a valid token is refused with 401. Otherwise it goes to the app as
	// anonymous. An invalid token of ours is always refused.
	Require bool `json:"require,omitempty"`

	// Paths, in the form of Caddy's path matcher, on which no token is required and none refused.
	// Only a canonical path is exempt: one that all servers read in the same way.
	Exempt []string `json:"exempt,omitempty" example:"/public/*"`

	// The headers that tell the app. Default: `X-Auth-User` user_id, `X-Auth-Session` session_id,
	// `X-Auth-Actor` actor. These three are always removed from requests.
	Headers []IdentityHeader `json:"headers,omitempty"`

	// Whether the tokens of trusted issuers are accepted in addition to our access tokens.
	AcceptCallers bool `json:"accept_callers,omitempty"`

	// The name of a cookie with the token, for requests without Authorization. Unsafe requests with
	// it are refused unless the browser says that a page of this site sent them. An expired one is
	// removed, if it has Path=/ and no Domain.
	Cookie string `json:"cookie,omitempty" example:"__Host-session"`

	// Where people are redirected who request a page and are refused: a URL or a path, placeholders
	// allowed, as in `/login?next={http.request.uri_escaped}`. Placeholders are escaped in the
	// query, and values that lead away from the site are dropped. Programs get 401.
	Login string `json:"login,omitempty" placeholders:"request" example:"/login?next={http.request.uri_escaped}"`

	// A JWT for the app in place of the bearer token.
	Assertion *Assertion `json:"assertion,omitempty"`

	// Whether what stays open (WebSockets, server-sent events) is closed when its session ends. For
	// impersonated sessions it always is.
	EndStreams bool `json:"end_streams,omitempty" example:""`

	// `trusted_proxies`: keep the headers that tell an app another path than that of the request
	// (such as `X-Original-URL`) if one of the server's `trusted_proxies` sent them. `exempt` and
	// `deny` ignore them. Default: they are removed from every request.
	PathHeaders string `json:"path_headers,omitempty" example:"trusted_proxies"`

	// Shadow mode of require: requests that it would refuse are counted and logged, and go to the
	// app as anonymous. No headers are set or removed; those that would be are logged.
	Shadow bool `json:"shadow,omitempty"`
}

// IdentityHeader is a header that the app receives.
type IdentityHeader struct {
	// The name of the header. Clients cannot set it.
	Name string `json:"name"`

	// Its value: `user_id`, `session_id`, `actor`, `actor_issuer`, `is_impersonation`, `reason` or
	// `client_id`; or a claim of the token, by its name or by a JSON pointer, which starts with a
	// slash.
	Field string `json:"field"`
}

// Assertion is a JWT that tells the app who sends a request: valid for one minute, and signed with
// the key of access tokens, which is published at `jwks.json` below the path.
type Assertion struct {
	// Its "aud". Default: the issuer.
	Audience []string `json:"audience,omitempty" placeholders:"resolve"`
}

// defaultHeaders are set unless others are configured, and are always removed from requests: an app
// may read one that its configuration does not name.
var defaultHeaders = []IdentityHeader{
	{Name: "X-Auth-User", Field: "user_id"},
	{Name: "X-Auth-Session", Field: "session_id"},
	{Name: "X-Auth-Actor", Field: "actor"},
}

func (i *Identity) setDefaults(issuer string) {
	if i.Headers == nil {
		i.Headers = slices.Clone(defaultHeaders)
	}
	if i.Assertion != nil && i.Assertion.Audience == nil {
		i.Assertion.Audience = []string{issuer}
	}
}

func (b *Block) checkIdentity() error {
	i := b.Identity
	if i == nil {
		return nil
	}
	err := cmp.Or(i.checkModes(), i.checkHeaders(), i.checkExempt(), i.checkCookie(), i.checkLogin(), i.checkPathHeaders())
	if err == nil && i.Assertion != nil {
		err = checkList("identity.assertion", "identity: assertion", i.Assertion.Audience)
	}
	return err
}

func (i *Identity) checkModes() error {
	switch {
	case i.Require && i.Shadow:
		return wrong("identity.shadow", "identity: shadow enforces nothing, and require refuses: remove one of them")
	case len(i.Exempt) > 0 && !i.Require && !i.Shadow:
		return wrong("identity.exempt", "identity: exempt needs require: add require, or remove exempt")
	case i.Login != "" && !i.Require && !i.Shadow:
		return wrong("identity.login", "identity: login needs require: add require, or remove login")
	}
	return nil
}

// ownHeaders are headers that requests need for their own meaning, or that proxies do not pass on.
var ownHeaders = []string{
	"authorization", "connection", "cookie", "expect", "forwarded", "host", "keep-alive", "origin", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via",
}

// isPlainHeader reports whether all servers treat a header with that name in the same way.
func isPlainHeader(name string) bool {
	return httpguts.ValidHeaderFieldName(name) && !strings.ContainsAny(name, "_.") && len(name) <= 64
}

func isReservedHeader(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains(ownHeaders, name) ||
		slices.ContainsFunc([]string{"content-", "sec-", "access-control-", "accept", "if-"}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func (i *Identity) checkHeaders() error {
	if len(i.Headers) == 0 {
		return wrong("identity.headers", "identity: headers is empty: name headers, or remove it for the default ones")
	}
	for n, header := range i.Headers {
		switch {
		case !isPlainHeader(header.Name):
			return wrong("identity.header", "identity: header %q: no app reads a header of that name: write letters, digits and hyphens, as in: header X-Auth-User user_id", header.Name)
		case isReservedHeader(header.Name) || strings.HasPrefix(strings.ToLower(header.Name), "x-forwarded-"):
			return wrong("identity.header", "identity: header %s is a standard header of requests: choose another name, as in: header X-Auth-User user_id", header.Name)
		case !claimPath(header.Field):
			return wrong("identity.header", "identity: header %s %q: write what it tells: %s, or a claim by its name or JSON pointer", header.Name, header.Field, strings.Join(forward.FieldNames(), ", "))
		}
		for _, before := range i.Headers[:n] {
			if strings.EqualFold(before.Name, header.Name) {
				return wrong("identity.header", "identity: header %s is given twice: keep one", header.Name)
			}
		}
	}
	return nil
}

func (i *Identity) checkExempt() error {
	for n, pattern := range i.Exempt {
		switch {
		case !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*") || strings.Contains(pattern, "%"):
			return wrong("identity.exempt", "identity: exempt %q is not a path: write it decoded and with its leading slash, as in: exempt /public/*", pattern)
		case !urlpath.Canonical(&url.URL{Path: "/" + strings.TrimPrefix(strings.ReplaceAll(pattern, "*", "x"), "/")}):
			return wrong("identity.exempt", "identity: exempt %q names no canonical path, and only those are exempt: without empty or dotted segments, without ; and \\, with nothing after the name of a script; write it as in: exempt /public/*", pattern)
		case slices.Contains(i.Exempt[:n], pattern):
			return wrong("identity.exempt", "identity: exempt names %q twice: remove one", pattern)
		}
	}
	return nil
}

// fromTrustedProxies is the only value of path_headers.
const fromTrustedProxies = "trusted_proxies"

// TrustsPathHeaders reports whether headers that rename a path are kept if a trusted proxy of the
// server sent them.
func (i *Identity) TrustsPathHeaders() bool { return i.PathHeaders == fromTrustedProxies }

func (i *Identity) checkPathHeaders() error {
	if i.PathHeaders != "" && i.PathHeaders != fromTrustedProxies {
		return wrong("identity.path_headers", "identity: path_headers %q: write path_headers trusted_proxies to keep them from the trusted_proxies of the server, or remove it", i.PathHeaders)
	}
	return nil
}

func (i *Identity) checkCookie() error {
	if i.Cookie != "" && !httpguts.ValidHeaderFieldName(i.Cookie) {
		return wrong("identity.cookie", "identity: cookie %q is not a cookie name: write it as in: cookie __Host-session", i.Cookie)
	}
	return nil
}

func (i *Identity) checkLogin() error {
	if i.Login == "" {
		return nil
	}
	u, err := url.Parse(strings.NewReplacer("{", "", "}", "").Replace(i.Login))
	local := strings.HasPrefix(i.Login, "/") && !strings.HasPrefix(i.Login, "//") && !strings.Contains(i.Login, `\`)
	if err != nil || !local && (u.Host == "" || u.Scheme != "https" && u.Scheme != "http") || strings.ContainsFunc(i.Login, func(r rune) bool { return r <= ' ' }) {
		return wrong("identity.login", "identity: login %q is neither a path nor an http or https URL: write it as in: login /login?next={http.request.uri_escaped}", i.Login)
	}
	return nil
}

// Fields returns the fields in the headers, and the header names that clients cannot set.
func (i *Identity) Fields() (names []string, fields []forward.Field) {
	for _, header := range i.Headers {
		fields = append(fields, forward.Field(header.Field))
	}
	for _, header := range slices.Concat(i.Headers, defaultHeaders) {
		names = append(names, header.Name)
	}
	return names, fields
}

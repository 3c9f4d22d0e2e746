package forward

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/urlpath"
)

// A Credential is the token that a request presents.
type Credential struct {
	Token string
	// Cookie means that it came in a cookie, which the browser sends whoever caused the request.
	Cookie bool
	// Others are the values of further cookies with the same name: stale, or planted by a sibling
	// domain. Verifying them shows which one counts.
	Others []string
}

// maxCookies is how many different tokens of a request are verified.
const maxCookies = 8

// ErrSeveral means that several cookies with the name are valid, or that there are more than
// maxCookies: some were planted, and it is unknown which.
var ErrSeveral = fmt.Errorf("%w: several cookies of that name", bearer.ErrMalformed)

// Find returns the credential of a request: the bearer token in Authorization or, if there is none,
// the value of the cookie with the given name ("" for no cookie). bearer.ErrNoToken means that
// there is none, bearer.ErrMalformed (which ErrSeveral wraps) that there is not exactly one.
func Find(r *http.Request, cookie string) (Credential, error) {
	token, err := bearer.FromHeader(r.Header)
	if !errors.Is(err, bearer.ErrNoToken) || cookie == "" {
		return Credential{Token: token}, err
	}
	found := r.CookiesNamed(cookie)
	switch len(found) {
	case 0:
		return Credential{}, err
	case 1:
		return Credential{Token: found[0].Value, Cookie: true}, nil
	}
	var tokens []string
	for _, c := range found {
		if strings.Contains(c.Value, ".") && !slices.Contains(tokens, c.Value) {
			tokens = append(tokens, c.Value)
		}
	}
	switch {
	case len(tokens) == 0:
		return Credential{Token: found[0].Value, Cookie: true}, nil
	case len(tokens) > maxCookies:
		return Credential{Cookie: true}, ErrSeveral
	}
	return Credential{Token: tokens[0], Cookie: true, Others: tokens[1:]}, nil
}

// browsers detects requests that a page of another origin made a browser send.
var browsers = http.NewCrossOriginProtection()

// CrossSite reports whether a page of another origin may have made the browser send an unsafe
// request. A request with neither Sec-Fetch-Site nor Origin proves nothing, so it may have.
func CrossSite(r *http.Request) bool {
	if !Unsafe(r) {
		return false
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return true
	}
	probe := http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host, URL: r.URL}
	return browsers.Check(&probe) != nil
}

// Unsafe reports whether a request may change something (RFC 9110 section 9.2.1), or opens a
// connection on which anything can be sent.
func Unsafe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return upgrades(r)
	default:
		return true
	}
}

// upgrades reports whether a request asks to switch protocols.
func upgrades(r *http.Request) bool {
	return r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0
}

// Preflight reports whether the request is a CORS preflight (Fetch, section 3.2.2), which never has
// a credential.
func Preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && !upgrades(r) && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// Navigation reports whether a person navigates to a page.
func Navigation(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && !upgrades(r) && len(r.Header["Authorization"]) == 0 && WantsPage(r)
}

// WantsPage reports whether the response is for a person to read rather than for a program.
// Programs may accept HTML too (Java's URLConnection does by default), but no browser that
// navigates sends or asks for JSON.
func WantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/html") && !strings.Contains(accept, "json") && !strings.Contains(r.Header.Get("Content-Type"), "json")
}

// maxParts is how many dot-separated parts of a value are read.
const maxParts = 16

// ClaimsIssuer reports whether something that looks like a token, possibly after a prefix, claims
// to be a token of the issuer, without verifying it, and whether it claims to be a refresh token.
func ClaimsIssuer(token, issuer string) (ours, refresh bool) {
	if len(token) > 4*jose.MaxTokenSize {
		return false, false
	}
	parts := strings.SplitN(token, ".", maxParts)
	for i := 1; i < len(parts); i++ {
		var claims struct {
			Issuer string `json:"iss"`
		}
		if decodeLenient(parts[i], &claims); claims.Issuer != issuer {
			continue
		}
		var header struct {
			Type string `json:"typ"`
		}
		before := parts[i-1]
		decodeLenient(before[max(0, strings.Index(before, tokenStart)):], &header) // with anything before it
		ours, refresh = true, refresh || strings.HasSuffix(strings.ToLower(header.Type), keyring.RefreshTokenType)
	}
	return ours, refresh
}

// decodeLenient decodes everything that some lenient reader would accept.
func decodeLenient(part string, into any) {
	part = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(part), "=")
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		_ = json.Unmarshal(data, into)
	}
}

// HasSmuggledToken reports whether Authorization, with any scheme, contains something that claims
// to be a token of the issuer, even as a password.
func HasSmuggledToken(r *http.Request, issuer string) bool {
	return slices.ContainsFunc(r.Header["Authorization"], func(value string) bool { return holdsToken(value, issuer) })
}

// holdsToken reports whether a part of a header's value claims to be a token of the issuer.
func holdsToken(value, issuer string) bool {
	if scheme, rest, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Basic") {
		if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
			value = string(data)
		}
	}
	for part := range tokenParts(value) {
		if ours, _ := ClaimsIssuer(part, issuer); ours {
			return true
		}
	}
	return false
}

// DropTokens removes everything that claims to be a token of the issuer: headers that contain one,
// and cookies.
func DropTokens(header http.Header, issuer string) {
	holds := func(value string) bool { return holdsToken(value, issuer) }
	for name, values := range header {
		switch {
		case !slices.ContainsFunc(values, holds):
		case name == "Cookie":
			dropCookies(header, holds)
		default:
			delete(header, name)
		}
	}
}

// tokenParts yields the parts of a header's value that may be tokens, both unchanged and
// percent-decoded, as some apps read them.
func tokenParts(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, spelling := range [...]string{value, unescape(value)} {
			for piece := range strings.FieldsFuncSeq(spelling, func(c rune) bool { return strings.ContainsRune(" \t,;:\"'=", c) }) {
				if !yield(piece) {
					return
				}
			}
		}
	}
}

// unescape percent-decodes a value, leaving invalid escapes alone; "" if there is nothing to
// decode.
func unescape(value string) string {
	if !strings.Contains(value, "%") {
		return ""
	}
	return urlpath.Unescape(value)
}

// tokenStart is the beginning of every token that we have minted: {" in base64url.
const tokenStart = "eyJ"

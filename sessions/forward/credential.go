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

// A Credential is where a request says who is asking.
type Credential struct {
	Token string
	// Cookie means that the browser sent it, whoever made it do so.
	Cookie bool
	// Others are what other cookies of the name hold: left over, or planted by a sister
	// site. Which one counts is seen when they are verified.
	Others []string
}

// maxCookies bounds how many different tokens are verified for a request.
const maxCookies = 8

// ErrSeveral means that several cookies of the name are good, or more than anybody would
// verify: some were planted, and which is unknown.
var ErrSeveral = fmt.Errorf("%w: several cookies of that name", bearer.ErrMalformed)

// Find returns the credential of a request: the bearer token in Authorization, else,
// where cookie names one, the cookies of that name. bearer.ErrNoToken: there is none.
// bearer.ErrMalformed: there is something, but no one token; ErrSeveral is one of these.
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

// browsers refuses what a page of another origin made a browser send.
var browsers = http.NewCrossOriginProtection()

// CrossSite reports whether a page of another origin may have made the browser send an
// unsafe request: one that changes something, or that opens a connection. One that says
// neither Sec-Fetch-Site nor Origin proves nothing, so it may.
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

// Unsafe reports whether a request may change something (RFC 9110 section 9.2.1), or
// opens a connection on which anything can.
func Unsafe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return upgrades(r)
	default:
		return true
	}
}

// upgrades reports whether a request asks for another protocol on its connection.
func upgrades(r *http.Request) bool {
	return r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0
}

// Preflight reports whether a browser asks what it may send (Fetch, section 3.2.2). It
// never comes with a credential.
func Preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && !upgrades(r) && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// Navigation reports whether a person goes to a page.
func Navigation(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && !upgrades(r) && len(r.Header["Authorization"]) == 0 && Person(r)
}

// Person reports whether the answer is for a person to read, and not for a program.
func Person(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// maxParts bounds how much of what has dots in it is read.
const maxParts = 16

// Claims reports whether what looks like a token, or has one behind a prefix, says that it is
// the issuer's, whether that is true or not, and whether it says that it is a refresh token.
func Claims(token, issuer string) (ours, refresh bool) {
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
		decodeLenient(before[max(0, strings.Index(before, tokenStart)):], &header) // whatever stands before it
		ours, refresh = true, refresh || strings.HasSuffix(strings.ToLower(header.Type), keyring.RefreshTokenType)
	}
	return ours, refresh
}

// decodeLenient reads what some reader would.
func decodeLenient(part string, into any) {
	part = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(part), "=")
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		_ = json.Unmarshal(data, into)
	}
}

// Smuggled reports whether something in Authorization, whatever its scheme, says that it
// is a token of the issuer; a password, too.
func Smuggled(r *http.Request, issuer string) bool {
	return slices.ContainsFunc(r.Header["Authorization"], func(value string) bool { return holdsToken(value, issuer) })
}

// holdsToken reports whether a part of a header's value says that it is a token of the
// issuer.
func holdsToken(value, issuer string) bool {
	if scheme, rest, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Basic") {
		if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
			value = string(data)
		}
	}
	for part := range pieces(value) {
		if ours, _ := Claims(part, issuer); ours {
			return true
		}
	}
	return false
}

// DropTokens removes what says that it is a token of the issuer: the headers that hold
// one, and of the cookies those that do.
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

// pieces yields what may be a token of its own in the value of a header, as it stands and as
// apps decode it that take values for percent-encoded.
func pieces(value string) iter.Seq[string] {
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

// unescape decodes what is percent-encoded and leaves the rest; "" where nothing is.
func unescape(value string) string {
	if !strings.Contains(value, "%") {
		return ""
	}
	return urlpath.Unescape(value)
}

// tokenStart is how each token begins that we ever minted: with {" in base64url.
const tokenStart = "eyJ"

package browser

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A Pair is one of the two pairs of cookies that a browser can have.
type Pair int

// The pairs.
const (
	// Own is the pair of a person's own session.
	Own Pair = iota
	// As is the pair of an impersonation.
	As
)

// HostPrefix is the prefix of cookies that no other host can set, not even a subdomain (RFC 6265bis
// section 4.1.3.2).
const HostPrefix = "__Host-"

// MaxCookie is the maximum size of the name and value of a cookie, in bytes: browsers drop longer
// ones (RFC 6265bis section 5.6).
const MaxCookie = 4096

// ErrSeveral means that cookies with the same name have different values, so some were planted, and
// it is unknown which.
var ErrSeveral = errors.New("several cookies of one name")

// Tokens are the values of the cookies of a pair; "" if one is missing.
type Tokens struct{ Access, Refresh string }

// Present reports whether any cookie of the pair is present.
func (t Tokens) Present() bool { return t.Access != "" || t.Refresh != "" }

// A Jar reads and writes the cookies of a site. It is safe for concurrent use.
type Jar struct {
	base   string
	flows  string
	names  [2]names // indexed by Pair
	secure bool
}

type names struct{ access, refresh string }

// NewJar returns the jar of a site. The cookies are called name, name-refresh, name-as and
// name-as-refresh. secure means that they require HTTPS.
func NewJar(name string, secure bool) *Jar {
	return &Jar{base: name, flows: name + "-in-", secure: secure, names: [2]names{
		Own: {name, name + "-refresh"},
		As:  {name + "-as", name + "-as-refresh"},
	}}
}

// Flows returns the prefix of the cookies of sign-ins, and whether they require HTTPS.
func (j *Jar) Flows() (prefix string, secure bool) { return j.flows, j.secure }

// Names returns the names of all its cookies.
func (j *Jar) Names() []string {
	return []string{j.names[Own].access, j.names[Own].refresh, j.names[As].access, j.names[As].refresh}
}

// Read returns the values of both pairs in a request. ErrSeveral means that cookies with the same
// name differ, which cannot happen with HostPrefix. Values that are longer than any token are
// ignored. It does not allocate.
func (j *Jar) Read(r *http.Request) (own, as Tokens, err error) {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var cookie string
			cookie, line, _ = strings.Cut(line, ";")
			name, value, _ := strings.Cut(strings.Trim(cookie, " \t"), "=")
			into := j.find(name, &own, &as)
			if into == nil || value == "" || len(value) > jose.MaxTokenSize {
				continue
			}
			if *into != "" && *into != value {
				err = ErrSeveral
			}
			*into = value
		}
	}
	return own, as, err
}

// find returns where to store the value of the cookie; nil if it is not ours.
func (j *Jar) find(name string, own, as *Tokens) *string {
	if !strings.HasPrefix(name, j.base) {
		return nil
	}
	switch name {
	case j.names[Own].access:
		return &own.Access
	case j.names[Own].refresh:
		return &own.Refresh
	case j.names[As].access:
		return &as.Access
	case j.names[As].refresh:
		return &as.Refresh
	default:
		return nil
	}
}

// longest is the maximum lifetime of a cookie in browsers (RFC 6265bis section 5.5). A refresh
// token is kept that long: the end of a session must be noticed, or an impersonation would silently
// turn into the person's own session.
const longest = 400 * 24 * time.Hour

// Set sets the cookies of a pair to the tokens of a session, replacing what the response said about
// them.
func (j *Jar) Set(h http.Header, p Pair, g *sessions.Grant) {
	j.dropSetCookie(h, p)
	j.add(h, j.names[p].access, g.AccessToken, max(time.Second, g.AccessExpires.Sub(g.Now)))
	j.add(h, j.names[p].refresh, g.RefreshToken, longest)
}

// Clear removes the cookies of a pair from the browser.
func (j *Jar) Clear(h http.Header, p Pair) {
	j.dropSetCookie(h, p)
	j.add(h, j.names[p].access, "", 0)
	j.add(h, j.names[p].refresh, "", 0)
}

// add adds a cookie with that lifetime; a lifetime of zero removes it.
func (j *Jar) add(h http.Header, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if age <= 0 {
		age = -1
	}
	cookie := http.Cookie{ //nolint:gosec // a site that speaks plain HTTP, on this machine alone, could set no Secure one
		Name: name, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: j.secure, SameSite: http.SameSiteLaxMode,
	}
	h.Add("Set-Cookie", cookie.String())
}

// dropSetCookie removes what the response says about a pair.
func (j *Jar) dropSetCookie(h http.Header, p Pair) {
	said, ok := h["Set-Cookie"]
	if !ok {
		return
	}
	h["Set-Cookie"] = slices.DeleteFunc(said, func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return name == j.names[p].access || name == j.names[p].refresh
	})
}

// Fits reports whether browsers keep the cookies of a grant, and requests stay short: the pair
// takes less than MaxCookie bytes.
func (j *Jar) Fits(p Pair, g *sessions.Grant) bool {
	return len(j.names[p].access)+len(g.AccessToken)+len(j.names[p].refresh)+len(g.RefreshToken)+len("==") < MaxCookie
}

// PairOf returns the pair for the tokens of a session.
func PairOf(s *sessions.Session) Pair {
	if s.Impersonation {
		return As
	}
	return Own
}

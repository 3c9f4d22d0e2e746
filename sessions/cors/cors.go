package cors

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"authsidecar/sessions/internal/endpoint"
)

// What scripts may send and read: the methods and headers that our endpoints accept, and response
// headers beyond those that every script may read.
const (
	methods = "GET, HEAD, POST, DELETE"
	request = "Authorization, Content-Type, Idempotency-Key, If-None-Match"
	answer  = "ETag, Retry-After, WWW-Authenticate"
	maxAge  = "7200" // in seconds, the maximum that browsers honor
)

// A Policy is a set of origins whose scripts may call us. A nil Policy does nothing.
type Policy struct {
	origins map[string]bool
}

// New returns a policy for origins that passed Check; nil if there are none.
func New(origins []string) *Policy {
	if len(origins) == 0 {
		return nil
	}
	p := &Policy{origins: make(map[string]bool, len(origins))}
	for _, origin := range origins {
		p.origins[origin] = true
	}
	return p
}

// originlessSchemes are schemes that never occur in the origin of a page: browsers send null for
// them (HTML, section 7.1.1), or there are no such pages. Schemes of apps are possible:
// capacitor://localhost is sent as it is.
var originlessSchemes = []string{"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"}

// Check returns an error if an origin cannot match what browsers send: the two are compared byte
// for byte (RFC 6454 section 6.2). "*" and "null" are not allowed.
func Check(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case strings.Contains(origin, "*"):
		return errors.New("it has a wildcard: name each origin")
	case strings.ContainsFunc(origin, func(r rune) bool { return r >= utf8.RuneSelf }):
		return errors.New("browsers send host names in ASCII: write Punycode, as in https://xn--mller-kva.example")
	case err != nil || u.Scheme == "" || u.Host == "" || u.User != nil:
		return errors.New("it is not an origin: write a scheme and a host, as in https://spa.example.com")
	case slices.Contains(originlessSchemes, strings.ToLower(u.Scheme)):
		return errors.New("browsers send no origin with this scheme: write https, http or the scheme of an app's web view")
	case !isPort(u):
		return errors.New("its port is not a number from 1 to 65535 without leading zeros: correct it, or leave it out with its colon")
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // browsers leave out default ports
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	if want := u.Scheme + "://" + host; origin != want {
		return fmt.Errorf("browsers spell it differently: write %s", want)
	}
	return nil
}

// isPort reports whether the port of u is absent or written as browsers write it.
func isPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}

// Preflighted returns the request that a preflight asks about, for routing: a copy with its method.
// Any other request is returned unchanged.
func (p *Policy) Preflighted(r *http.Request) *http.Request {
	if p == nil || !isPreflight(r) {
		return r
	}
	asked := *r
	asked.Method = r.Header.Get("Access-Control-Request-Method")
	return &asked
}

func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 && len(r.Header["Access-Control-Request-Method"]) > 0
}

// Serve sets the CORS headers of a request for one of our endpoints, and reports whether it was a
// preflight, which it then answers. Responses vary by origin, even those to requests without one,
// and say so.
func (p *Policy) Serve(w http.ResponseWriter, r *http.Request) (answered bool) {
	if p == nil {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origins := r.Header["Origin"]
	allowed := len(origins) == 1 && p.origins[origins[0]]
	if allowed {
		header.Set("Access-Control-Allow-Origin", origins[0])
	}
	if !isPreflight(r) {
		if allowed {
			header.Set("Access-Control-Expose-Headers", answer)
		}
		return false
	}
	defer endpoint.LeaveBody(w, r)()
	if allowed {
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Allow-Headers", request)
		header.Set("Access-Control-Max-Age", maxAge)
	}
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return true
}

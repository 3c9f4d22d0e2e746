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

// What scripts may send and read: what our endpoints take, and what our answers say beyond the
// headers that every script may read.
const (
	methods = "GET, HEAD, POST, DELETE"
	request = "Authorization, Content-Type, Idempotency-Key, If-None-Match"
	answer  = "ETag, Retry-After, WWW-Authenticate"
	maxAge  = "7200" // seconds, the most that browsers remember a preflight
)

// A Policy is the origins whose scripts may call. A nil Policy does nothing.
type Policy struct {
	origins map[string]bool
}

// New returns a policy for origins that Check is content with; nil for none.
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

// pageless are schemes that no page has in its origin: browsers send null for them (HTML, section
// 7.1.1), or there are no pages of them. Others are of apps: those of capacitor://localhost are sent.
var pageless = []string{"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"}

// Check returns what is wrong with an origin: it is compared with what browsers send, byte for
// byte (RFC 6454 section 6.2), and is neither "*" nor "null".
func Check(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case strings.Contains(origin, "*"):
		return errors.New("it has a wildcard: name each origin")
	case strings.ContainsFunc(origin, func(r rune) bool { return r >= utf8.RuneSelf }):
		return errors.New("browsers send host names in ASCII: write Punycode, as in https://xn--mller-kva.example")
	case err != nil || u.Scheme == "" || u.Host == "" || u.User != nil:
		return errors.New("it is not an origin: write a scheme and a host, as in https://spa.example.com")
	case slices.Contains(pageless, strings.ToLower(u.Scheme)):
		return errors.New("browsers send no origin with this scheme: write https, http or the scheme of an app's web view")
	case !isPort(u):
		return errors.New("its port is not a number from 1 to 65535 without leading zeros: correct it, or leave it out with its colon")
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // browsers leave out what goes without saying
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

// isPort reports whether the port of u is written as browsers write it, or is left out.
func isPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}

// Asked returns the request that a preflight asks about, to find out whose that is: the same with
// its method. Any other request is returned as it is.
func (p *Policy) Asked(r *http.Request) *http.Request {
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

// Serve says to the browser what a request for one of our endpoints may do, and reports whether it
// was a preflight, which is answered then. Answers differ by origin, and say so to caches: those
// without an origin too.
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

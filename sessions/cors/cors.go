package cors

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

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

// Check returns what is wrong with an origin: it is compared with what browsers send, byte for
// byte (RFC 6454 section 6.2), and names neither everybody nor nobody.
func Check(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case strings.Contains(origin, "*"):
		return errors.New("a wildcard would let any page call: name each origin")
	case err != nil || u.Scheme == "" || u.Host == "" || u.User != nil:
		return errors.New("it is no origin: write it as in https://spa.example.com")
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // browsers leave out what goes without saying
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	if want := u.Scheme + "://" + host; origin != want {
		return fmt.Errorf("browsers send another spelling: write %s", want)
	}
	return nil
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

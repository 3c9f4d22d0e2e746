package banner

import (
	"html"
	"net/http"
	"net/url"

	"authsidecar/sessions/internal/endpoint"
)

// A Banner adds the bar to pages. All fields are required. It is safe for concurrent use.
type Banner struct {
	// Path is the path below which the script is, as in /auth/sessions.
	Path string
	// Secure means that the site uses https.
	Secure bool
	// Count is called with what happened to the bar on a page.
	Count func(Outcome)
}

// A Page is a response that is followed by the bar if possible. Flushed data is passed on at once;
// a hijacked connection is left alone.
type Page struct {
	http.ResponseWriter
	banner  *Banner
	session string
	origin  origin

	decided  bool
	outcome  Outcome
	policies []policy
	start    []byte // first bytes of the body
}

// Begin returns the response writer for a request that is Wanted, of a session, and changes the
// request to ask for the whole page uncompressed. Call End when the handler has returned.
func (b *Banner) Begin(w http.ResponseWriter, r *http.Request, session string) *Page {
	askForWholePage(r)
	return &Page{ResponseWriter: w, banner: b, session: session, origin: origin{r.Host, b.Secure}}
}

// decide examines the header of the response and prepares it.
func (p *Page) decide(status int) {
	h := p.Header()
	p.decided, p.outcome = true, outcomeOf(status, h)
	if p.outcome != Added {
		return
	}
	p.policies = policiesOf(h)
	if requiresIntegrity(h) || !p.mayRun(p.policies, false) {
		p.outcome = Policy
		return
	}
	dropEntityHeaders(h)
	endpoint.NoStore(h) // the page is for this person, now
}

// mayRun reports whether the given policies let the bar work, and all policies together let its
// script run.
func (p *Page) mayRun(policies []policy, meta bool) bool {
	for _, each := range policies {
		if !each.usable(p.origin, meta) {
			return false
		}
	}
	_, ok := allow(p.policies, p.origin)
	return ok
}

// WriteHeader implements http.ResponseWriter. Informational responses precede the header.
func (p *Page) WriteHeader(status int) {
	if !p.decided && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		p.decide(status)
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *Page) Write(data []byte) (int, error) {
	if !p.decided {
		p.decide(http.StatusOK)
	}
	if p.outcome == Added && len(p.start) < maxHead {
		p.start = append(p.start, data[:min(len(data), maxHead-len(p.start))]...)
	}
	return p.ResponseWriter.Write(data)
}

// FlushError implements flushing for http.ResponseController.
func (p *Page) FlushError() error {
	if !p.decided {
		p.decide(http.StatusOK)
	}
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Unwrap implements unwrapping for http.ResponseController.
func (p *Page) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// End completes the response after the handler has returned err. A response that failed, or is left
// to others, gets no bar.
func (p *Page) End(err error) {
	switch {
	case err != nil && !p.decided:
		p.outcome = Failed
	case err != nil || !p.decided:
		return
	case p.outcome == Added:
		p.add()
	}
	if p.outcome != none {
		p.banner.Count(p.outcome)
	}
}

// add appends the tag, unless a policy in the page itself would keep the bar from working.
func (p *Page) add() {
	dropEntityHeaders(p.Header()) // its trailers
	inPage := metaPolicies(p.start)
	p.policies = append(p.policies, inPage...)
	switch {
	case len(p.start) == 0:
		p.outcome = none
	case isUTF16(p.start):
		p.outcome = Charset
	case !p.mayRun(inPage, true):
		p.outcome = Policy
	default:
		_, _ = p.ResponseWriter.Write(p.tag()) // an error means that the client has gone
	}
}

// tag returns the script tag, in ASCII. A script after the end of a page becomes a child of its
// body (WHATWG HTML, section 13.2.6.4.22).
func (p *Page) tag() []byte {
	src := url.URL{Path: p.banner.Path + ScriptPath, RawQuery: version}
	tag := "\n<script src=\"" + html.EscapeString(src.String()) + "\" data-session=\"" + html.EscapeString(p.session) + `"`
	if nonce, _ := allow(p.policies, p.origin); nonce != "" {
		tag += ` nonce="` + nonce + `"`
	}
	return []byte(tag + " defer></script>\n")
}

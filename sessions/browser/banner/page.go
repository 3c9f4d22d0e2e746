package banner

import (
	"html"
	"net/http"
	"net/url"

	"authsidecar/sessions/internal/endpoint"
)

// A Banner puts the bar on pages. All of its fields are required. It is safe for concurrent use.
type Banner struct {
	// Path is below which the script is: as in /auth/sessions.
	Path string
	// Secure is whether the site is https.
	Secure bool
	// Count hears what became of the bar on a page.
	Count func(Outcome)
}

// A Page is an answer with the bar behind it, where that is possible. What the handler flushes
// arrives at once; a connection that is taken over is left alone.
type Page struct {
	http.ResponseWriter
	banner  *Banner
	session string
	origin  origin

	decided  bool
	outcome  Outcome
	policies []policy
	start    []byte // of the body
}

// Begin returns the answer to a request that is Wanted, of a session, and has the request ask for
// the whole page in plain. The handler's answer ends with End.
func (b *Banner) Begin(w http.ResponseWriter, r *http.Request, session string) *Page {
	ask(r)
	return &Page{ResponseWriter: w, banner: b, session: session, origin: origin{r.Host, b.Secure}}
}

// decide looks at the header of the answer, and prepares it.
func (p *Page) decide(status int) {
	h := p.Header()
	p.decided, p.outcome = true, outcomeOf(status, h)
	if p.outcome != Added {
		return
	}
	p.policies = policiesOf(h)
	if bySum(h) || !p.mayRun(p.policies, false) {
		p.outcome = Policy
		return
	}
	forget(h)
	endpoint.NoStore(h) // it is for this person, now
}

// mayRun reports whether those of the policies let the bar work, and all of them the script run.
func (p *Page) mayRun(policies []policy, meta bool) bool {
	for _, each := range policies {
		if !each.usable(p.origin, meta) {
			return false
		}
	}
	_, ok := allow(p.policies, p.origin)
	return ok
}

// WriteHeader implements http.ResponseWriter. Informational answers come before the header.
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

// FlushError is what http.ResponseController flushes with.
func (p *Page) FlushError() error {
	if !p.decided {
		p.decide(http.StatusOK)
	}
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (p *Page) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// End ends the answer when the handler returned, with that error: one that is left to others has
// no bar, and nor has one that broke off.
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

// add appends the tag, unless the page itself says what keeps the bar from working.
func (p *Page) add() {
	forget(p.Header()) // its trailers
	inPage := metaPolicies(p.start)
	p.policies = append(p.policies, inPage...)
	switch {
	case len(p.start) == 0:
		p.outcome = none
	case wide(p.start):
		p.outcome = Charset
	case !p.mayRun(inPage, true):
		p.outcome = Policy
	default:
		_, _ = p.ResponseWriter.Write(p.tag()) // an error means that the reader is gone
	}
}

// tag returns the script tag, in ASCII. A script behind the end of a page is a child of its body
// (WHATWG HTML, section 13.2.6.4.22).
func (p *Page) tag() []byte {
	src := url.URL{Path: p.banner.Path + ScriptPath, RawQuery: version}
	tag := "\n<script src=\"" + html.EscapeString(src.String()) + "\" data-session=\"" + html.EscapeString(p.session) + `"`
	if nonce, _ := allow(p.policies, p.origin); nonce != "" {
		tag += ` nonce="` + nonce + `"`
	}
	return []byte(tag + " defer></script>\n")
}

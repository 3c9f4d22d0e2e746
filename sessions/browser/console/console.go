package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/urlpath"
)

// Config is the configuration of a Console. Everything is required unless stated otherwise.
type Config struct {
	// Origin is the origin of the console, as in https://sessions.example.com.
	Origin string
	// Path is the path below which people sign in and out.
	Path string
	// Browsers reads the cookies of this host, and answers below Path.
	Browsers *browser.API
	// Links are the links of the app, which hand over impersonations.
	Links *browser.Links
	// Issuer is the issuer at which people sign in, and Issuers are the possible issuers of an actor:
	// all names of the trusted ones.
	Issuer  string
	Issuers []string
	// Audit is the audit file. "" means that there is no history.
	Audit string
}

// A Console answers all requests to its host. It is safe for concurrent use.
type Console struct {
	Config
	manager *sessions.Manager
	host    string // with its port
	name    string // without its port
	pages   map[string]page
}

// New returns a console.
func New(c Config) (*Console, error) {
	u, err := url.Parse(c.Origin)
	if err != nil || u.Host == "" {
		return nil, errors.New("the origin is not an absolute URL")
	}
	console := &Console{Config: c, manager: c.Browsers.Manager, host: u.Host, name: browser.HostName(u.Host)}
	console.pages = console.allPages()
	return console, nil
}

// ownPageMatch is the place of a page of the console in a match; the places of Browsers come before.
const ownPageMatch = -1

// Route returns the match of a request to the console's host. It matches every path, on any port,
// since cookies are sent to all ports. It does not allocate.
func (c *Console) Route(r *http.Request) urlpath.Match {
	if !strings.EqualFold(browser.HostName(r.Host), c.name) {
		return urlpath.Match{}
	}
	if m := c.Browsers.Route(r); m.Owner != urlpath.Pass {
		return m
	}
	return urlpath.Match{Owner: urlpath.Ours, At: ownPageMatch, Rest: r.URL.Path}
}

// NeedsStore reports whether answering the match requires the store.
func (c *Console) NeedsStore(m urlpath.Match) bool {
	if m.At != ownPageMatch {
		return c.Browsers.NeedsStore(m)
	}
	p, found := c.pages[m.Rest]
	return found && p.static == nil
}

// Unavailable answers a request while a part that it needs is not open.
func (c *Console) Unavailable(w http.ResponseWriter, r *http.Request, m urlpath.Match, cause error) {
	if m.At != ownPageMatch {
		c.Browsers.Unavailable(w, r, m, cause)
		return
	}
	c.fail(w, r, errors.Join(sessions.ErrUnavailable, cause))
}

// Serve answers a request. A panic becomes a 500, and is reported as a failure with its stack.
func (c *Console) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	switch {
	case !c.isHere(r):
		c.fail(w, r, httpapi.ErrPath)
	case m.At != ownPageMatch:
		c.Browsers.Serve(w, r, m)
	default:
		if err := endpoint.Recover(func() error { return c.serve(w, r, m.Rest) }); err != nil {
			c.fail(w, r, err)
		}
	}
}

// isHere reports whether the request came to the console's own port.
func (c *Console) isHere(r *http.Request) bool {
	host := strings.ToLower(r.Host)
	return host == c.host || strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80") == c.host
}

// A page is what a path serves.
type page struct {
	get, post func(*visit) error
	rights    right // required right
	static    func(w http.ResponseWriter, r *http.Request)
}

// A right is what a person needs for a page.
type right int

// The rights.
const (
	anyUser     right = iota // to be signed in
	actorRight               // a rule lets them act as somebody, or see who does
	startRight               // a rule lets them act as somebody
	manageRight              // a rule lets them see the sessions of others
)

// allPages returns all pages by path.
func (c *Console) allPages() map[string]page {
	all := map[string]page{
		"/":               {get: c.own},
		"/end":            {post: c.endOwn},
		"/end-others":     {post: c.endOthers},
		"/acting":         {get: c.acting, rights: actorRight},
		"/acting/end":     {post: c.endActing, rights: actorRight},
		"/acting/end-all": {get: c.preview, post: c.endAll, rights: actorRight},
		"/act":            {get: c.form, post: c.start, rights: startRight},
		"/act/link":       {get: c.link, rights: startRight},
	}
	if c.Audit != "" {
		all["/history"] = page{get: c.history, rights: manageRight}
	}
	for path, asset := range assets {
		all[path] = page{static: asset.serve}
	}
	return all
}

// serve answers a request for a page.
func (c *Console) serve(w http.ResponseWriter, r *http.Request, path string) error {
	p, found := c.pages[path]
	if !found || r.URL.RawPath != "" {
		return httpapi.ErrPath
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case reads && p.static != nil:
		p.static(w, r)
		return nil
	case reads && p.get != nil:
		if !navigates(r) {
			return httpapi.ErrCrossOrigin
		}
		if c.isCrossHost(r) {
			return c.reload(w, r)
		}
		return c.withVisit(w, r, &p, p.get)
	case r.Method == http.MethodPost && p.post != nil:
		if c.Browsers.CrossSite(r) {
			return httpapi.ErrCrossOrigin
		}
		ctx, cancel := browser.Detached(r)
		defer cancel()
		return c.withVisit(w, r.WithContext(ctx), &p, p.post)
	}
	w.Header().Set("Allow", p.methods())
	return httpapi.ErrMethod
}

func (p *page) methods() string {
	switch {
	case p.post == nil:
		return "GET, HEAD"
	case p.get == nil:
		return "POST"
	default:
		return "GET, HEAD, POST"
	}
}

// navigates reports whether a person navigates a window of their own to a page. Otherwise a page of
// another host could time responses, or put them into a frame (Fetch Metadata, section 2).
func navigates(r *http.Request) bool {
	dest, mode := r.Header.Get("Sec-Fetch-Dest"), r.Header.Get("Sec-Fetch-Mode")
	return r.Header.Get("Sec-Fetch-Site") == "same-origin" || (dest == "" || dest == "document") && (mode == "" || mode == "navigate")
}

// isCrossHost reports whether a page of another host sent a person to a page other than the
// first. It could learn how many sessions a request selects, from the response time or from when it
// loses access to the window. A request that came through reload has our Referer.
func (c *Console) isCrossHost(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if r.URL.Path == "/" && r.URL.RawQuery == "" || site != "cross-site" && site != "same-site" {
		return false
	}
	return !strings.HasPrefix(r.Header.Get("Referer"), c.Origin+"/")
}

// reload answers with a page that is the same for everyone, and then loads the requested one.
func (c *Console) reload(w http.ResponseWriter, r *http.Request) error {
	to := r.URL.RequestURI()
	w.Header().Set("Refresh", "0;url="+to) // HTML Standard, "The Refresh header": the next request comes from a page of ours
	return c.show(w, http.StatusOK, "arrive", &frame{Title: "One moment", Page: to})
}

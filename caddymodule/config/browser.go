package config

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/sessions/browser"
)

// Browser keeps the tokens of sessions in cookies, for people. Neither the app nor scripts ever see
// them. Needs lifecycle and identity.
type Browser struct {
	// The name of the cookies: this, and this followed by `-refresh`, `-as` and `-as-refresh`. It
	// begins with `__Host-`, so that no other host can set them; if the issuer is this machine over
	// plain http, where such cookies cannot be set, the prefix is omitted. Default:
	// `__Host-session`
	Cookie string `json:"cookie,omitempty" example:"__Host-session"`

	// How long the link that hands over a session (`"deliver": "link"`) is valid: 10 seconds to 10
	// minutes. Default: 1 minute.
	Link caddy.Duration `json:"link,omitempty" example:"1m"`

	// The origin, another host of this site, on which links to impersonations are opened, so that
	// impersonations do not share the app's cookies and storage with a person's own session.
	// Default: the host of the issuer.
	ImpersonateOn string `json:"impersonate_on,omitempty" example:"https://as.example.com"`

	// Cookies of the app that are removed from the browser when an impersonation begins or ends.
	// They must be for this host only and for all of its paths. Not allowed with impersonate_on,
	// which does not need them. Default: none.
	ExpireCookies []string `json:"expire_cookies,omitempty" example:"app_session"`

	// Paths of the app, in the form of Caddy's path matcher, at which people sign out: a request
	// for one of them revokes the session of its cookies and removes the cookies. A GET request
	// does so if a person navigates there from a page of this site. Default: none. A response of
	// the app with `Auth-Session: end` always does it.
	SignOut []string `json:"sign_out,omitempty" example:"/logout"`

	// Whether to add a bar to the pages of the app that shows who is acting as whom and for how
	// long, with a button to stop. Default: no.
	Banner bool `json:"banner,omitempty" example:""`

	// The origin, another host of this site, of a console where people see their own sessions and,
	// with the necessary rights, who is acting as whom. The app is not served on that host. People
	// sign in there with sign_in too. Default: none.
	Console string `json:"console,omitempty" example:"https://sessions.example.com"`

	// Where people sign in. Default: sessions are created only in other ways.
	SignIn *SignIn `json:"sign_in,omitempty"`
}

func (w *Browser) setDefaults() {
	w.Cookie = cmp.Or(w.Cookie, browser.HostPrefix+"session")
	w.Link = cmp.Or(w.Link, defaultLink)
}

// maxCookieName limits the length of the name of the cookies, which each request repeats.
const maxCookieName = 64

func (b *Block) checkBrowser() error {
	w := b.Browser
	switch {
	case w == nil:
		return nil
	case !b.Lifecycle:
		return wrong("browser", "browser needs lifecycle: write lifecycle, so that people can see and end their sessions")
	case b.Identity == nil:
		return wrong("browser", "browser needs identity: write identity, so that the app learns who is asking")
	case b.Identity.Cookie != "":
		return wrong("identity.cookie", "identity: cookie is for a cookie that the app sets itself, and browser sets its own: remove one of them")
	case *b.RefreshToken.Grace == 0:
		return wrong("refresh_token.grace", "refresh_token: grace 0s takes each page that makes two requests at once for a thief's, and browser keeps the tokens of pages: remove grace, or write grace 30s")
	case b.Identity.Shadow:
		return wrong("identity.shadow", "identity: shadow enforces nothing, and browser takes its cookies out of requests: remove one of them")
	}
	if u, err := url.Parse(b.Issuer); err == nil && u.Scheme != "https" && !isLoopback(u.Hostname()) {
		return wrong("browser", "browser: the cookies are for https alone, and the issuer is %s: serve it by https and write issuer https://%s", b.Issuer, u.Host)
	}
	return cmp.Or(w.checkCookie(), b.checkLink(), b.checkSignOut(), b.checkConsole(), b.checkSignIn())
}

func (w *Browser) checkCookie() error {
	rest, prefixed := strings.CutPrefix(w.Cookie, browser.HostPrefix)
	switch {
	case !prefixed:
		return wrong("browser.cookie", "browser: cookie %q could be set by other hosts: write it with its prefix, as in: cookie __Host-session", w.Cookie)
	case rest == "" || len(w.Cookie) > maxCookieName || !httpguts.ValidHeaderFieldName(w.Cookie) || strings.ContainsAny(rest, "._%"):
		return wrong("browser.cookie", "browser: cookie %q: write letters, digits and hyphens behind the prefix, %d bytes at most, as in: cookie __Host-session", w.Cookie, maxCookieName)
	}
	return nil
}

func (b *Block) checkSignOut() error {
	list := b.Browser.SignOut
	if len(list) == 0 {
		return nil
	}
	for _, pattern := range list {
		why := pathpattern.Check(pattern)
		switch {
		case why != "":
		case strings.Trim(pattern, "/*") == "":
			why = "would sign people out with every page"
		case pattern == b.Path || strings.HasPrefix(pattern, b.Path+"/"):
			why = "is ours and never gets to the app: have the form post to " + b.Path + "/close, which needs no sign_out"
		default:
			continue
		}
		return wrong("browser.sign_out", "browser: sign_out %q %s: write the app's own paths, as in: sign_out /logout", pattern, why)
	}
	return checkList("browser.sign_out", "browser: sign_out", list)
}

// SignOuts returns the paths of the app at which people sign out.
func (b *Block) SignOuts() []string { return b.browser().SignOut }

// browser returns the configuration of browser, which is empty if there is none.
func (b *Block) browser() *Browser { return cmp.Or(b.Browser, new(Browser)) }

// Jar returns the jar of the cookies; nil without browser.
func (b *Block) Jar() *browser.Jar {
	if b.Browser == nil {
		return nil
	}
	if strings.HasPrefix(b.Issuer, "http://") {
		return browser.NewJar(strings.TrimPrefix(b.Browser.Cookie, browser.HostPrefix), false)
	}
	return browser.NewJar(b.Browser.Cookie, true)
}

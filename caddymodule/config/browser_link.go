package config

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"
)

// Limits on how long a link is valid.
const (
	minLink     = caddy.Duration(10 * time.Second)
	maxLink     = caddy.Duration(10 * time.Minute)
	defaultLink = caddy.Duration(time.Minute)
)

// Origin returns the origin of the issuer.
func (b *Block) Origin() string { return originOf(b.Issuer) }

// ImpersonateOrigin returns the origin of impersonations: that of the issuer unless another is
// configured.
func (b *Block) ImpersonateOrigin() string { return cmp.Or(b.browser().ImpersonateOn, b.Origin()) }

func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (b *Block) checkLink() error {
	w := b.Browser
	if w.Link < minLink || w.Link > maxLink {
		return wrong("browser.link", "browser: link is %s: write %s to %s, for which a link is good", formatDuration(w.Link), formatDuration(minLink), formatDuration(maxLink))
	}
	if on := w.ImpersonateOn; on != "" {
		if err := b.checkHost("impersonate_on", on); err != nil {
			return err
		}
		if hostOf(on) == hostOf(b.Origin()) { // cookies go to a host whatever its port is
			return wrong("browser.impersonate_on", "browser: impersonate_on %s is the issuer's own host: write another name of this site, or remove it", on)
		}
	}
	return w.checkExpireCookies()
}

func (w *Browser) checkExpireCookies() error {
	if len(w.ExpireCookies) == 0 {
		return nil
	}
	if w.ImpersonateOn != "" {
		return wrong("browser.expire_cookies", "browser: expire_cookies is for people who impersonate others on the host on which they work themselves, and impersonate_on names another: remove one of them")
	}
	at := slices.IndexFunc(w.ExpireCookies, func(name string) bool { return !httpguts.ValidHeaderFieldName(name) })
	if at >= 0 {
		return wrong("browser.expire_cookies", "browser: expire_cookies %q is not the name of a cookie", w.ExpireCookies[at])
	}
	return checkList("browser.expire_cookies", "browser: expire_cookies", w.ExpireCookies)
}

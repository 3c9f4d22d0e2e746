package config

import (
	"fmt"
	"strings"

	"authsidecar/sessions/cors"
)

// ConsoleOrigin returns the origin of the console; "" if there is none.
func (b *Block) ConsoleOrigin() string { return b.browser().Console }

// checkConsole checks the host of the console. Cookies are sent to all ports of a host, so neither
// the app nor anybody else may use another port of it.
func (b *Block) checkConsole() error {
	on := b.ConsoleOrigin()
	if on == "" {
		return nil
	}
	if err := b.checkHost("console", on); err != nil {
		return err
	}
	switch {
	case hostOf(on) == hostOf(b.Origin()), hostOf(on) == hostOf(b.ImpersonateOrigin()):
		return wrong("browser.console", "browser: console %s: the app is served on that host, and the console needs one of its own: write another name of this site", on)
	case strings.HasPrefix(on, "http:") && !isLoopback(hostOf(on)) && !strings.HasSuffix(hostOf(on), ".localhost"):
		return wrong("browser.console", "browser: console %s: over plain http it works on this machine alone: write a name such as http://console.localhost", on)
	case b.Browser.SignIn == nil:
		return wrong("browser.console", "browser: console %s: people sign in there, and browser has no sign_in: write sign_in <issuer>", on)
	}
	return nil
}

// checkHost checks the origin of another host of the site, which must have the scheme of the issuer.
func (b *Block) checkHost(word, origin string) error {
	at, name := "browser."+word, "browser: "+word+" "+origin
	scheme, _, _ := strings.Cut(b.Issuer, ":")
	itsScheme, rest, _ := strings.Cut(origin, "://")
	switch err := cors.Check(origin); {
	case err != nil:
		return wrong(at, "%s: %w", name, err)
	case itsScheme != scheme:
		return wrong(at, "%s: it is served over %s, as the issuer is: write %s://%s", name, scheme, scheme, rest)
	}
	return nil
}

// CookieHosts returns the hosts on which browsers have our cookies.
func (b *Block) CookieHosts() []string {
	hosts := []string{hostOf(b.Origin()), hostOf(b.ImpersonateOrigin())}
	if on := b.ConsoleOrigin(); on != "" {
		hosts = append(hosts, hostOf(on))
	}
	return hosts
}

// WarnHosts returns warnings about hosts of browser that no site serves.
func (b *Block) WarnHosts(served func(host string) bool) (found []string) {
	for _, on := range []struct{ word, origin string }{{"console", b.ConsoleOrigin()}, {"impersonate_on", b.browser().ImpersonateOn}} {
		if on.origin != "" && !served(hostOf(on.origin)) {
			found = append(found, fmt.Sprintf("browser: %s %s: no site with this auth_sessions has that host, so nobody gets there; add it to the addresses of the site, as in: %s, %s { ... }", on.word, on.origin, b.Origin(), on.origin))
		}
	}
	return found
}

package config

import (
	"net/url"
	"strings"

	"authsidecar/sessions/cors"
)

// ConsoleOrigin returns the origin of the console; "" where there is none.
func (b *Block) ConsoleOrigin() string {
	if b.Browser == nil {
		return ""
	}
	return b.Browser.Console
}

// checkConsole checks the host of the console. Cookies go to a host whatever its port is, so that
// neither the app nor anybody else may have another port of it.
func (b *Block) checkConsole() error {
	on := b.ConsoleOrigin()
	if on == "" {
		return nil
	}
	scheme, _, _ := strings.Cut(b.Issuer, ":")
	switch err := cors.Check(on); {
	case err != nil:
		return wrong("browser.console", "browser: console %s: %w", on, err)
	case !strings.HasPrefix(on, scheme+"://"):
		return wrong("browser.console", "browser: console %s: it is served as the issuer is: write %s://", on, scheme)
	case hostname(on) == hostname(b.Origin()), hostname(on) == hostname(b.ImpersonateOrigin()):
		return wrong("browser.console", "browser: console %s: the app is served on that host, and the console is where it is not: write another name of this site", on)
	case scheme == "http" && !isLoopback(hostname(on)) && !strings.HasSuffix(hostname(on), ".localhost"):
		return wrong("browser.console", "browser: console %s: over plain http it is for this machine alone: write a name as console.localhost", on)
	case b.Browser.SignIn == nil:
		return wrong("browser.console", "browser: console %s: people sign in there, and nothing says where: write sign_in <issuer>", on)
	}
	return nil
}

func hostname(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

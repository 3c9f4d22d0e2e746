package directive

import "authsidecar/caddymodule/config"

// browser reads how the sessions of people are kept in cookies:
//
//	browser {
//		cookie         <name>
//		link           <duration>
//		impersonate_on <origin>
//		expire_cookies <name>...
//	}
func (p *parser) browser() error {
	b := new(config.Browser)
	p.config.Browser = b
	return p.block("browser", words{
		"cookie":         p.text(&b.Cookie, "__Host-session"),
		"link":           p.duration(&b.Link, "1m"),
		"impersonate_on": p.text(&b.ImpersonateOn, "https://as.example.com"),
		"expire_cookies": p.list(&b.ExpireCookies, "app_session"),
	})
}

package directive

import "authsidecar/caddymodule/config"

// browser reads how the sessions of people are kept in cookies:
//
//	browser {
//		cookie <name>
//	}
func (p *parser) browser() error {
	b := new(config.Browser)
	p.config.Browser = b
	return p.block("browser", words{
		"cookie": p.text(&b.Cookie, "__Host-session"),
	})
}

package directive

import "authsidecar/caddymodule/config"

// browser reads how the sessions of people are kept in cookies:
//
//	browser {
//		cookie         <name>
//		link           <duration>
//		impersonate_on <origin>
//		expire_cookies <name>...
//		sign_out       <path>...
//		banner
//		console        <origin>
//		sign_in <issuer> {
//			client_id     <id>
//			client_secret {env.NAME}
//			scopes        <scope>...
//		}
//	}
func (p *parser) browser() error {
	b := new(config.Browser)
	p.config.Browser = b
	return p.block("browser", words{
		"cookie":         p.text(&b.Cookie, "__Host-session"),
		"link":           p.duration(&b.Link, "1m"),
		"impersonate_on": p.text(&b.ImpersonateOn, "https://as.example.com"),
		"expire_cookies": p.list(&b.ExpireCookies, "app_session"),
		"sign_out":       p.list(&b.SignOut, "/logout"),
		"banner":         p.flag(&b.Banner),
		"console":        p.text(&b.Console, "https://sessions.example.com"),
		"sign_in":        func() error { return p.signIn(b) },
	})
}

func (p *parser) signIn(b *config.Browser) error {
	s := new(config.SignIn)
	b.SignIn = s
	if err := p.text(&s.Issuer, "https://idp.example.com")(); err != nil {
		return err
	}
	return p.block("browser.sign_in", words{
		"client_id":     p.text(&s.ClientID, "my-app"),
		"client_secret": p.secret(&s.ClientSecret),
		"scopes":        p.list(&s.Scopes, "email"),
	})
}

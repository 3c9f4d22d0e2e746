package directive

import "authsidecar/caddymodule/config"

// browser parses the configuration of cookies: the words of config.Browser, and
//
//	sign_in <issuer> { <the words of config.SignIn> }
func (p *parser) browser() error {
	b := new(config.Browser)
	p.config.Browser = b
	return p.block("browser", p.fields(b, words{"sign_in": func() error { return p.signIn(b) }}))
}

func (p *parser) signIn(b *config.Browser) error {
	s := new(config.SignIn)
	b.SignIn = s
	if err := p.value(&s.Issuer, "https://idp.example.com"); err != nil {
		return err
	}
	return p.block("browser.sign_in", p.fields(s, words{}))
}

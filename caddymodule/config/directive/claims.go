package directive

import "authsidecar/caddymodule/config"

// claims parses what users' own sessions keep of their callers' tokens:
//
//	claims <names...> {
//		max_age <duration>
//	}
func (p *parser) claims() error {
	c := new(config.Claims)
	p.config.Claims = c
	if err := p.value(&c.Names, "groups email"); err != nil {
		return err
	}
	return p.block("claims", p.fields(c, words{}))
}

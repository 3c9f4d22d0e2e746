package directive

import (
	"fmt"
	"slices"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/internal/placeholder"
)

// oauth reads where the OAuth endpoints are, and for whom: the words of config.OAuth, and
//
//	client <client_id> {
//		secret {env.NAME}...
//		<the words of config.Client>
//	}
func (p *parser) oauth() error {
	o := new(config.OAuth)
	p.config.OAuth = o
	return p.block("oauth", p.fields(o, words{"client": func() error { return p.client(o) }}), "client")
}

func (p *parser) client(o *config.OAuth) error {
	c := new(config.Client)
	o.Clients = append(o.Clients, c)
	at := fmt.Sprintf("client.%d", len(o.Clients)-1)
	p.mark(at)
	if err := p.value(&c.ID, "my-app"); err != nil {
		return err
	}
	return p.block(at, p.fields(c, words{"secret": func() error { return p.secrets(&c.Secrets) }}))
}

// secrets parses where one or several secrets are.
func (p *parser) secrets(into *[]string) error {
	word := p.Val()
	if err := p.value(into, "{env.IDP_HMAC}"); err != nil {
		return err
	}
	if slices.ContainsFunc(*into, func(value string) bool { return !placeholder.Alone(value) }) {
		return p.Errf("%s: %w", p.name, SecretItself(word))
	}
	return nil
}

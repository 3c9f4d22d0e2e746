package directive

import (
	"fmt"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/internal/placeholder"
)

// oauth reads where the OAuth endpoints are, and for whom:
//
//	oauth {
//		path   <path>
//		client <client_id> {
//			public
//			secret        {env.NAME}...
//			secret_sha256 <hex>...
//			jwks          <url or file>
//			ca            <file>
//			insecure_http
//		}
//	}
func (p *parser) oauth() error {
	o := new(config.OAuth)
	p.config.OAuth = o
	return p.block("oauth", words{
		"path":   p.text(&o.Path, "/oauth"),
		"client": func() error { return p.client(o) },
	}, "client")
}

func (p *parser) client(o *config.OAuth) error {
	c := new(config.Client)
	o.Clients = append(o.Clients, c)
	at := fmt.Sprintf("client.%d", len(o.Clients)-1)
	p.mark(at)
	if err := p.text(&c.ID, "my-app")(); err != nil {
		return err
	}
	return p.block(at, words{
		"public":        p.flag(&c.Public),
		"secret":        func() error { return p.secrets(&c.Secrets) },
		"secret_sha256": p.list(&c.SecretSHA256, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
		"jwks":          p.text(&c.JWKS, "https://client.example.com/jwks.json"),
		"ca":            p.text(&c.CA, "/etc/ssl/internal-ca.pem"),
		"insecure_http": p.flag(&c.InsecureHTTP),
	})
}

// secrets reads where one secret is, or several.
func (p *parser) secrets(into *[]string) error {
	word := p.Val()
	var first string
	if err := p.secret(&first)(); err != nil {
		return err
	}
	*into = append([]string{first}, p.RemainingArgs()...)
	for _, value := range *into {
		if !placeholder.Alone(value) {
			return p.secretItself(word)
		}
	}
	return nil
}

package directive

import "authsidecar/caddymodule/config"

// identity parses how the app learns who sends a request: the words of config.Identity, and
//
//	require | optional | shadow
//	header <name> <field>
//	accept callers
//	assertion [<audiences...>]
func (p *parser) identity() error {
	i := new(config.Identity)
	p.config.Identity = i
	optional := false
	mode := func(into *bool) func() error {
		return func() error {
			*into = true
			if optional && (i.Require || i.Shadow) {
				return p.Err("identity: optional is the opposite of require and shadow: keep one of them")
			}
			return nil
		}
	}
	return p.block("identity", p.fields(i, words{
		"require":   mode(&i.Require),
		"optional":  mode(&optional),
		"shadow":    mode(&i.Shadow),
		"header":    func() error { return p.identityHeader(i) },
		"accept":    func() error { return p.accept(i) },
		"assertion": func() error { return p.assertion(i) },
	}), "header")
}

func (p *parser) identityHeader(i *config.Identity) error {
	var header config.IdentityHeader
	for _, into := range []*string{&header.Name, &header.Field} {
		if !p.NextArg() || p.Val() == "" {
			return p.Err("identity: header needs a name and a field: write header <name> <field>, as in: header X-Auth-User user_id")
		}
		*into = p.Val()
	}
	i.Headers = append(i.Headers, header)
	return nil
}

func (p *parser) accept(i *config.Identity) error {
	if !p.NextArg() || p.Val() != "callers" {
		return p.Err("identity: accept needs callers: write accept callers, to accept the tokens of the trusted issuers")
	}
	i.AcceptCallers = true
	return nil
}

func (p *parser) assertion(i *config.Identity) error {
	i.Assertion = new(config.Assertion)
	if audience := p.RemainingArgs(); len(audience) > 0 {
		i.Assertion.Audience = audience
	}
	return nil
}

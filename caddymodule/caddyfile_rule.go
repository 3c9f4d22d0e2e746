package caddymodule

import "fmt"

// allow reads a rule:
//
//	allow self
//	allow scope <scope> [from <issuer>]
//	allow claim <name> <value> [from <issuer>]
//	allow expression <cel> [from <issuer>]
func (p *parser) allow() error {
	r := new(Rule)
	p.handler.Allow = append(p.handler.Allow, r)
	p.mark(fmt.Sprintf("allow.%d", len(p.handler.Allow)-1))
	if !p.NextArg() {
		return p.Err("allow needs to know who: write allow self, allow scope <scope>, allow claim <name> <value>, or allow expression <cel>")
	}
	kind := p.Val()
	switch kind {
	case "self":
		r.Self = true
		return p.from(r)
	case "scope":
		return p.allowed(r, "scope <scope>", &r.Scope)
	case "claim":
		r.Claim = new(ClaimRule)
		return p.allowed(r, "claim <name> <value>", &r.Claim.Name, &r.Claim.Value)
	case "expression":
		return p.allowed(r, "expression `<cel>`", &r.Expression)
	default:
		return p.unknown("allow", kind, []string{"self", "scope", "claim", "expression"})
	}
}

// allowed reads what a rule asks for, and whose callers it is for.
func (p *parser) allowed(r *Rule, form string, values ...*string) error {
	for _, value := range values {
		if !p.NextArg() || p.Val() == "" {
			return p.Errf("allow is cut short: write allow %s [from <issuer>]", form)
		}
		*value = p.Val()
	}
	if err := p.from(r); err != nil {
		return err
	}
	if p.NextArg() {
		return p.Errf("allow has too many words: write allow %s [from <issuer>], one rule a line, and what has blanks in backticks", form)
	}
	return nil
}

// from reads the issuer at the end of a rule, where one is named.
func (p *parser) from(r *Rule) error {
	rest := *p.Dispenser
	if !rest.NextArg() || rest.Val() != "from" {
		return nil
	}
	p.NextArg()
	return p.text(&r.From, "https://idp.example.com")()
}

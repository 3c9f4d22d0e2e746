package directive

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/config"
)

// allow reads a rule that lets callers have sessions:
//
//	allow self
//	allow scope <scope> [from <issuer>]
//	allow claim <name> <value> [from <issuer>]
//	allow expression <cel> [from <issuer>]
func (p *parser) allow() error {
	return p.rule("allow", &p.config.Allow, "self", "scope", "claim", "expression")
}

// shadow reads a rule that is logged and decides nothing, in the forms of allow:
//
//	shadow allow <rule>
func (p *parser) shadow() error {
	if !p.NextArg() || p.Val() != "allow" {
		return p.Err("shadow logs what a rule would decide: write shadow allow <rule>, as in: shadow allow scope sessions:impersonate")
	}
	return p.rule("shadow allow", &p.config.Shadow, "self", "scope", "claim", "expression")
}

// manage reads a rule that lets callers see and end others' sessions, in the
// same forms but self.
func (p *parser) manage() error {
	return p.rule("manage", &p.config.Manage, "scope", "claim", "expression")
}

// reportClient reads a rule that lets back ends say who their own client is, in the same
// forms.
func (p *parser) reportClient() error {
	return p.rule("report_client", &p.config.ReportClient, "scope", "claim", "expression")
}

// protect reads who is never impersonated:
//
//	protect user <user ids...>
func (p *parser) protect() error {
	if !p.NextArg() || p.Val() != "user" {
		return p.Err("protect needs user ids: write protect user <user ids...>, as in: protect user root admin-*")
	}
	defer func(outer string) { p.name = outer }(p.name)
	p.name = "protect"
	return p.list(&p.config.Protect, "root admin-*")()
}

// ruleForms are the forms of rules.
var ruleForms = map[string]string{
	"self":       "self",
	"scope":      "scope <scope>",
	"claim":      "claim <name> <value>",
	"expression": "expression <cel>",
}

// rule reads a rule of a word, in one of the kinds of forms, and adds it.
func (p *parser) rule(word string, rules *[]*config.Rule, kinds ...string) error {
	r := new(config.Rule)
	*rules = append(*rules, r)
	p.mark(fmt.Sprintf("%s.%d", word, len(*rules)-1))
	if !p.NextArg() {
		forms := make([]string, len(kinds))
		for i, kind := range kinds {
			forms[i] = word + " " + ruleForms[kind]
		}
		last := len(forms) - 1
		return p.Errf("%s needs a rule: write %s, or %s", word, strings.Join(forms[:last], ", "), forms[last])
	}
	kind := p.Val()
	if !slices.Contains(kinds, kind) {
		return p.unknown(word, kind, kinds)
	}
	switch kind {
	case "self":
		r.Self = true
		return p.from(r)
	case "scope":
		return p.ruled(word, r, "scope <scope>", &r.Scope)
	case "claim":
		r.Claim = new(config.ClaimRule)
		return p.ruled(word, r, "claim <name> <value>", &r.Claim.Name, &r.Claim.Value)
	default:
		return p.ruled(word, r, "expression `<cel>`", &r.Expression)
	}
}

// ruled reads what a rule asks for, and whose callers it is for.
func (p *parser) ruled(word string, r *config.Rule, form string, values ...*string) error {
	for _, value := range values {
		if !p.NextArg() || p.Val() == "" {
			return p.Errf("%s is incomplete: write %s %s [from <issuer>]", word, word, form)
		}
		*value = p.Val()
	}
	if err := p.from(r); err != nil {
		return err
	}
	if p.NextArg() {
		return p.Errf("%s has too many words: write %s %s [from <issuer>], one rule a line, and what has blanks in backticks", word, word, form)
	}
	return nil
}

// from reads the issuer at the end of a rule, where one is named.
func (p *parser) from(r *config.Rule) error {
	rest := *p.Dispenser
	if !rest.NextArg() || rest.Val() != "from" {
		return nil
	}
	p.NextArg()
	return p.text(&r.From, "https://idp.example.com")()
}

// conditions are the forms of conditions on a caller.
var conditions = []string{"scope", "claim", "expression"}

// condition reads a condition on callers, in the forms of allow but for self and from.
// word is what it is of.
func (p *parser) condition(word string) (*config.Rule, error) {
	kind := p.Val()
	if !slices.Contains(conditions, kind) {
		return nil, p.unknown(word, kind, conditions)
	}
	r := new(config.Rule)
	var values []*string
	switch kind {
	case "scope":
		values = []*string{&r.Scope}
	case "claim":
		r.Claim = new(config.ClaimRule)
		values = []*string{&r.Claim.Name, &r.Claim.Value}
	case "expression":
		values = []*string{&r.Expression}
	}
	for _, value := range values {
		if !p.NextArg() || p.Val() == "" {
			return nil, p.Errf("%s is incomplete: write %s %s", word, word, ruleForms[kind])
		}
		*value = p.Val()
	}
	return r, nil
}

// only reads what every token has to satisfy:
//
//	only scope <scope>
//	only claim <name> <value>
//	only expression <cel>
func (p *parser) only(t *config.Trust, at string) error {
	p.mark(fmt.Sprintf("%s.only.%d", at, len(t.Only)))
	if !p.NextArg() {
		return p.Err("only needs a condition: write only scope <scope>, only claim <name> <value>, or only expression <cel>")
	}
	r, err := p.condition("only")
	if err != nil {
		return err
	}
	t.Only = append(t.Only, r)
	return nil
}

// users reads whether the subjects of an issuer are the app's users, and of which callers:
//
//	users [scope <scope> | claim <name> <value> | expression <cel>]
func (p *parser) users(t *config.Trust) error {
	users := true
	t.Users = &users
	if !p.NextArg() {
		return nil
	}
	var err error
	t.UsersIf, err = p.condition("users")
	return err
}

// userClaim reads which claim names the caller:
//
//	user_claim <name> [unverified]
func (p *parser) userClaim(t *config.Trust) error {
	if err := p.text(&t.UserClaim, "email")(); err != nil {
		return err
	}
	if !p.NextArg() {
		return nil
	}
	if p.Val() != "unverified" {
		return p.Errf("trust: user_claim %s is followed by %q: write user_claim %s, or user_claim %s unverified where the issuer does not say that it verifies addresses", t.UserClaim, p.Val(), t.UserClaim, t.UserClaim)
	}
	t.Unverified = true
	return nil
}

// idTokenAge is how old an ID token may be where id_tokens does not say.
const idTokenAge = 10 * time.Minute

// idTokens reads whether ID tokens are accepted, and how old:
//
//	id_tokens [<age>]
func (p *parser) idTokens(t *config.Trust) error {
	next := *p.Dispenser
	if !next.NextArg() {
		t.IDTokens = caddy.Duration(idTokenAge)
		return nil
	}
	return p.duration(&t.IDTokens, "10m")()
}

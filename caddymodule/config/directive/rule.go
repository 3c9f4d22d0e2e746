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
	return p.rule("allow", &p.config.Allow, append([]string{"self"}, conditions...)...)
}

// shadow reads a rule that is logged and decides nothing, in the forms of allow:
//
//	shadow allow <rule>
func (p *parser) shadow() error {
	if !p.NextArg() || p.Val() != "allow" {
		return p.Err("shadow logs what a rule would decide: write shadow allow <rule>, as in: shadow allow scope sessions:impersonate")
	}
	return p.rule("shadow allow", &p.config.Shadow, append([]string{"self"}, conditions...)...)
}

// manage parses a rule that lets callers see and revoke others' sessions, in the same forms except
// self.
func (p *parser) manage() error {
	return p.rule("manage", &p.config.Manage, conditions...)
}

// reportClient parses a rule that lets back ends report their own client, in the same forms.
func (p *parser) reportClient() error {
	return p.rule("report_client", &p.config.ReportClient, conditions...)
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
	return p.value(&p.config.Protect, "root admin-*")
}

// ruleForms are the forms of rules.
var ruleForms = map[string]string{
	"self":       "self",
	"scope":      "scope <scope>",
	"claim":      "claim <name> <value>",
	"expression": "expression `<cel>`",
}

// missingAfter returns the error for a word that nothing follows: what may follow it.
func (p *parser) missingAfter(word, what string, kinds []string) error {
	forms := make([]string, len(kinds))
	for i, kind := range kinds {
		forms[i] = word + " " + strings.ReplaceAll(ruleForms[kind], "`", "")
	}
	last := len(forms) - 1
	return p.Errf("%s needs a %s: write %s, or %s", word, what, strings.Join(forms[:last], ", "), forms[last])
}

// rule parses a rule of a word, in one of the given forms, with its issuer, and adds it.
func (p *parser) rule(word string, rules *[]*config.Rule, kinds ...string) error {
	p.mark(fmt.Sprintf("%s.%d", word, len(*rules)))
	if !p.NextArg() {
		return p.missingAfter(word, "rule", kinds)
	}
	kind, end := p.Val(), " [from <issuer>]"
	r, err := p.condition(word, end, kinds)
	if err != nil {
		return err
	}
	*rules = append(*rules, r)
	if err := p.from(r); err != nil {
		return err
	}
	if !r.Self && p.NextArg() {
		return p.Errf("%s has too many words: write %s %s%s, one rule a line, and what has blanks in backticks", word, word, ruleForms[kind], end)
	}
	return nil
}

// from parses the issuer at the end of a rule, if there is one.
func (p *parser) from(r *config.Rule) error {
	rest := *p.Dispenser
	if !rest.NextArg() || rest.Val() != "from" {
		return nil
	}
	p.NextArg()
	return p.value(&r.From, "https://idp.example.com")
}

// conditions are the forms of conditions on a caller.
var conditions = []string{"scope", "claim", "expression"}

// condition parses the condition of a rule, in one of the given forms; end is what may follow.
func (p *parser) condition(word, end string, kinds []string) (*config.Rule, error) {
	kind := p.Val()
	if !slices.Contains(kinds, kind) {
		return nil, p.unknown(word, kind, nearest(kind, kinds), kinds)
	}
	r := new(config.Rule)
	var values []*string
	switch kind {
	case "self":
		r.Self = true
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
			return nil, p.Errf("%s is incomplete: write %s %s%s", word, word, ruleForms[kind], end)
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
		return p.missingAfter("only", "condition", conditions)
	}
	r, err := p.condition("only", "", conditions)
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
	t.Users = new(true)
	if !p.NextArg() {
		return nil
	}
	var err error
	t.UsersIf, err = p.condition("users", "", conditions)
	return err
}

// userClaim reads which claim names the caller:
//
//	user_claim <name> [unverified]
func (p *parser) userClaim(t *config.Trust) error {
	if err := p.value(&t.UserClaim, "email"); err != nil {
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

// idTokenAge is the maximum age of an ID token if id_tokens does not set one.
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
	return p.value(&t.IDTokens, "10m")
}

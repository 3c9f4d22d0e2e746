package caddymodule

import (
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// conditions are the forms of conditions on a caller.
var conditions = []string{"scope", "claim", "expression"}

// condition reads a condition on callers, in the forms of allow but for self and from.
// word is what it is of.
func (p *parser) condition(word string) (*Rule, error) {
	kind := p.Val()
	if !slices.Contains(conditions, kind) {
		return nil, p.unknown(word, kind, conditions)
	}
	r := new(Rule)
	var values []*string
	switch kind {
	case "scope":
		values = []*string{&r.Scope}
	case "claim":
		r.Claim = new(ClaimRule)
		values = []*string{&r.Claim.Name, &r.Claim.Value}
	case "expression":
		values = []*string{&r.Expression}
	}
	for _, value := range values {
		if !p.NextArg() || p.Val() == "" {
			return nil, p.Errf("%s is cut short: write %s %s", word, word, ruleForms[kind])
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
func (p *parser) only(t *Trust, at string) error {
	p.mark(fmt.Sprintf("%s.only.%d", at, len(t.Only)))
	if !p.NextArg() {
		return p.Err("only needs to know what: write only scope <scope>, only claim <name> <value>, or only expression <cel>")
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
func (p *parser) users(t *Trust) error {
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
func (p *parser) userClaim(t *Trust) error {
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
func (p *parser) idTokens(t *Trust) error {
	next := *p.Dispenser
	if !next.NextArg() {
		t.IDTokens = caddy.Duration(idTokenAge)
		return nil
	}
	return p.duration(&t.IDTokens, "10m")()
}

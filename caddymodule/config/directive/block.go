package directive

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config"
)

// Word is the name of the directive.
const Word = "auth_sessions"

// Read reads a block from Caddyfile tokens. What is wrong is an error that names the line and
// the mend:
//
//	auth_sessions {
//		issuer  <url>
//		path    <path>
//		trust   <issuer> { ... }
//		allow   self
//		allow   scope <scope>        [from <issuer>]
//		allow   claim <name> <value> [from <issuer>]
//		allow   expression <cel>     [from <issuer>]
//		shadow  allow <rule>
//		protect user <user ids...>
//		claims  <names...> { ... }
//		lifecycle
//		cors    <origins...>
//		openapi
//		manage  scope | claim | expression ... [from <issuer>]
//		report_client scope | claim | expression ... [from <issuer>]
//		oauth         { ... }
//		discovery
//		identity      { ... }
//		browser       { ... }
//		session       { ... }
//		impersonation { ... }
//		refresh_token { ... }
//		access_token  { ... }
//		signing_keys  { ... }
//		audit   file <path>
//		audit   required
//		health  <path>
//		store   <engine> ...
//	}
func Read(d *caddyfile.Dispenser, b *config.Block) error {
	d.Next() // consume the directive's name
	p := &parser{Dispenser: d, config: b, marks: make(map[string]caddyfile.Dispenser)}
	p.mark("")
	if err := p.directive(); err != nil {
		return err
	}
	return p.check()
}

// A parser parses one auth_sessions block.
type parser struct {
	*caddyfile.Dispenser
	config *config.Block
	// marks holds where each word is, by its name in faults.
	marks map[string]caddyfile.Dispenser
	// name is the block that is being parsed.
	name string
	// open are the blocks that are being parsed, the innermost last.
	open []openBlock
	// mend is what to do if the current word is repeated.
	mend string
}

func (p *parser) mark(at string) { p.marks[at] = *p.Dispenser }

// check checks the block as a whole, and adds the line to the error. It does not change the block:
// defaults are not written to the JSON.
func (p *parser) check() error {
	data, err := json.Marshal(p.config)
	if err != nil {
		return p.WrapErr(err)
	}
	whole := new(config.Block)
	if err := json.Unmarshal(data, whole); err != nil {
		return p.WrapErr(err)
	}
	return p.located(whole.CheckConfigured())
}

// located returns an error with the line of the word that it is about, or else of the block which
// that stands in; nil for none.
func (p *parser) located(at string, err error) error {
	if err == nil {
		return nil
	}
	d, ok := p.marks[at]
	for ; !ok && at != ""; d, ok = p.marks[at] {
		at = at[:max(strings.LastIndexByte(at, '.'), 0)]
	}
	return d.WrapErr(err)
}

func (p *parser) directive() error {
	if p.NextArg() {
		if matcher := p.Val(); matcher == "*" || strings.HasPrefix(matcher, "/") || strings.HasPrefix(matcher, "@") {
			return p.Errf("auth_sessions takes no matcher: requests that do not match would keep forged headers; remove %q", matcher)
		}
		return p.Err("auth_sessions takes nothing but a block: remove what stands before the brace")
	}
	if !OpensBlock(p.Dispenser) {
		return p.Err("auth_sessions needs a block with issuer, trust and allow, as in: auth_sessions { issuer https://app.example.com ... }")
	}
	b := p.config
	return p.block("", p.fields(b, words{
		"trust":         p.trust,
		"allow":         p.allow,
		"shadow":        p.shadow,
		"manage":        p.manage,
		"report_client": p.reportClient,
		"identity":      p.identity,
		"browser":       p.browser,
		"claims":        p.claims,
		"oauth":         p.oauth,
		"protect":       p.protect,
		"audit":         p.audit,
		"store":         p.store,
	}), "trust", "allow", "shadow", "manage", "report_client", "audit")
}

func (p *parser) trust() error {
	t := new(config.Trust)
	p.config.Trust = append(p.config.Trust, t)
	at := fmt.Sprintf("trust.%d", len(p.config.Trust)-1)
	p.mark(at)
	if err := p.value(&t.Issuer, "https://idp.example.com"); err != nil {
		return err
	}
	return p.block(at, p.fields(t, words{
		"user_claim": func() error { return p.userClaim(t) },
		"only":       func() error { return p.only(t, at) },
		"id_tokens":  func() error { return p.idTokens(t) },
		"events":     func() error { return p.events(t, at) },
		"users":      func() error { return p.users(t) },
	}), "only")
}

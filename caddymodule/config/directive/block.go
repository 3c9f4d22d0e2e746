package directive

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config"
)

// Word is the word of the Caddyfile that begins a block.
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

// A parser reads one auth_sessions block.
type parser struct {
	*caddyfile.Dispenser
	config *config.Block
	// marks remembers where each word stands, by the name that faults give it.
	marks map[string]caddyfile.Dispenser
	// name is the block that is being read.
	name string
	// mend is what to do where the word that was just read is given again.
	mend string
}

func (p *parser) mark(at string) { p.marks[at] = *p.Dispenser }

// check finds what is wrong with what was read, taken as a whole, and says in
// which line. What was read does not change: defaults are not written down.
func (p *parser) check() error {
	data, err := json.Marshal(p.config)
	if err != nil {
		return p.WrapErr(err)
	}
	whole := new(config.Block)
	if err := json.Unmarshal(data, whole); err != nil {
		return p.WrapErr(err)
	}
	at, err := whole.CheckWritten()
	if err == nil {
		return nil
	}
	for {
		if d, ok := p.marks[at]; ok {
			return d.WrapErr(err)
		}
		at = at[:max(strings.LastIndexByte(at, '.'), 0)]
	}
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
	return p.block("", words{
		"issuer":        p.text(&b.Issuer, "https://app.example.com"),
		"path":          p.text(&b.Path, "/auth/sessions"),
		"trust":         p.trust,
		"allow":         p.allow,
		"shadow":        p.shadow,
		"manage":        p.manage,
		"report_client": p.reportClient,
		"identity":      p.identity,
		"browser":       p.browser,
		"claims":        p.claims,
		"lifecycle":     p.flag(&b.Lifecycle),
		"cors":          p.list(&b.CORS, "https://spa.example.com"),
		"openapi":       p.flag(&b.OpenAPI),
		"oauth":         p.oauth,
		"discovery":     p.flag(&b.Discovery),
		"protect":       p.protect,
		"session":       p.session,
		"impersonation": p.impersonation,
		"refresh_token": p.refreshToken,
		"access_token":  p.accessToken,
		"signing_keys":  p.signingKeys,
		"audit":         p.audit,
		"health":        p.text(&b.Health, "/auth/health"),
		"store":         p.store,
	}, "trust", "allow", "shadow", "manage", "report_client", "audit")
}

func (p *parser) trust() error {
	t := new(config.Trust)
	p.config.Trust = append(p.config.Trust, t)
	at := fmt.Sprintf("trust.%d", len(p.config.Trust)-1)
	p.mark(at)
	if err := p.text(&t.Issuer, "https://idp.example.com")(); err != nil {
		return err
	}
	return p.block(at, words{
		"jwks":           p.text(&t.JWKS, "https://idp.example.com/jwks.json"),
		"key":            p.text(&t.Key, "/etc/keys/idp.pem"),
		"secret":         p.secret(&t.Secret),
		"ca":             p.text(&t.CA, "/etc/ssl/internal-ca.pem"),
		"insecure_http":  p.flag(&t.InsecureHTTP),
		"jwks_token":     p.secret(&t.JWKSToken),
		"issuers":        p.list(&t.Issuers, "https://idp.example.com/*/v2.0"),
		"tenants":        p.list(&t.Tenants, "9122040d-6c67-4c5b-b112-36a304b66dad"),
		"audience":       p.list(&t.Audience, "https://app.example.com/auth/sessions"),
		"audience_claim": p.list(&t.AudienceClaim, "client_id"),
		"user_claim":     func() error { return p.userClaim(t) },
		"only":           func() error { return p.only(t, at) },
		"id_tokens":      func() error { return p.idTokens(t) },
		"token_header":   p.text(&t.TokenHeader, "Cf-Access-Jwt-Assertion"),
		"logout":         p.list(&t.Logout, "my-client"),
		"events":         func() error { return p.events(t, at) },
		"algorithms":     p.list(&t.Algorithms, "ES256 EdDSA"),
		"types":          p.list(&t.Types, "at+jwt JWT none"),
		"leeway":         p.durationOrZero(&t.Leeway, "30s"),
		"max_lifetime":   p.duration(&t.MaxLifetime, "24h"),
		"users":          func() error { return p.users(t) },
	}, "only")
}

func (p *parser) session() error {
	s := new(config.Session)
	p.config.Session = s
	return p.block("session", words{
		"ttl":          p.duration(&s.TTL, "30d"),
		"max_ttl":      p.duration(&s.MaxTTL, "365d"),
		"idle":         p.duration(&s.Idle, "14d"),
		"max_per_user": p.count(&s.MaxPerUser, "200"),
	})
}

func (p *parser) impersonation() error {
	i := new(config.Impersonation)
	p.config.Impersonation = i
	return p.block("impersonation", words{
		"ttl":            p.duration(&i.TTL, "1h"),
		"max_ttl":        p.duration(&i.MaxTTL, "8h"),
		"idle":           p.duration(&i.Idle, "15m"),
		"require_reason": p.flag(&i.RequireReason),
		"read_only":      p.flag(&i.ReadOnly),
		"deny":           p.list(&i.Deny, "/billing/* /account/delete"),
	})
}

func (p *parser) refreshToken() error {
	r := new(config.RefreshToken)
	p.config.RefreshToken = r
	return p.block("refresh_token", words{
		"grace":     p.durationOrZero(&r.Grace, "30s"),
		"algorithm": p.text(&r.Algorithm, "EdDSA"),
		"key":       p.text(&r.Key, "/etc/keys/refresh.pem"),
	})
}

func (p *parser) accessToken() error {
	a := new(config.AccessToken)
	p.config.AccessToken = a
	return p.block("access_token", words{
		"ttl":       p.duration(&a.TTL, "10m"),
		"algorithm": p.text(&a.Algorithm, "ES256"),
		"key":       p.text(&a.Key, "/etc/keys/access.pem"),
		"audience":  p.list(&a.Audience, "https://app.example.com"),
	})
}

func (p *parser) signingKeys() error {
	s := new(config.SigningKeys)
	p.config.SigningKeys = s
	return p.block("signing_keys", words{
		"rotate": p.durationOrZero(&s.Rotate, "30d"),
	})
}

const storeNamespace = "auth_sessions.stores"

// store reads which engine keeps the sessions. What follows the engine's name
// is read by its module.
func (p *parser) store() error {
	if !p.NextArg() {
		return p.Err("store needs the name of an engine, as in: store pebble")
	}
	name := p.Val()
	var known []string
	for _, module := range caddy.GetModules(storeNamespace) {
		known = append(known, module.ID.Name())
	}
	if _, err := caddy.GetModule(storeNamespace + "." + name); err != nil || strings.Contains(name, ".") {
		err := p.unknown("store", name, known)
		if name == "redis" || name == "postgres" {
			err = p.Errf("store %s is not in this build: build it with ./xcaddy.sh --with authsidecar/caddymodule/%s, or write store pebble", name, name)
		}
		return err
	}
	module, err := caddyfile.UnmarshalModule(p.Dispenser, storeNamespace+"."+name)
	if err != nil {
		return err
	}
	p.config.StoreRaw = caddyconfig.JSONModuleObject(module, "engine", name, nil)
	return nil
}

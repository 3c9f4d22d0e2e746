package config

import (
	"cmp"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// Policy returns the policy of the allow rules.
func (b *Block) Policy() (*sessions.Policy, error) {
	p := &sessions.Policy{Protect: b.Protect, RequireReason: b.Impersonation.RequireReason}
	var err error
	p.Allow, err = b.rules(b.Allow)
	for _, rule := range b.Allow {
		p.AllowSelf = p.AllowSelf || rule.Self
	}
	return p, err
}

// ShadowPolicy returns the policy of the shadow rules; nil if there are none.
func (b *Block) ShadowPolicy() (*sessions.Policy, error) {
	if len(b.Shadow) == 0 {
		return nil, nil
	}
	shadow := *b
	shadow.Allow = b.Shadow
	return shadow.Policy()
}

// ManageRules returns the rules for listing and revoking others' sessions.
func (b *Block) ManageRules() ([]sessions.Rule, error) { return b.rules(b.Manage) }

// ReportRules returns the rules for reporting the caller's own client.
func (b *Block) ReportRules() ([]sessions.Rule, error) { return b.rules(b.ReportClient) }

// rules returns the configured rules, except self.
func (b *Block) rules(configured []*Rule) ([]sessions.Rule, error) {
	var rules []sessions.Rule
	for _, rule := range configured {
		if rule.Self {
			continue
		}
		made, err := rule.make()
		if err != nil {
			return nil, err
		}
		made.From, _ = b.trustedAs(cmp.Or(rule.From, b.Trust[0].Issuer)) // the only one, as check ensures
		rules = append(rules, made)
	}
	return rules, nil
}

// trustedAs returns the name that rules use for the issuer with that name.
func (b *Block) trustedAs(name string) (trust string, ok bool) {
	for _, t := range b.Trust {
		issuer := bearer.Issuer{Name: t.Issuer, Issuers: t.Issuers}
		if trust, ok := issuer.TrustedAs(name); ok {
			return trust, true
		}
	}
	return "", false
}

// TokenHeaders returns the headers that carry tokens of trusted issuers; nil if there are none.
func (b *Block) TokenHeaders() *forward.Names {
	var names []string
	for _, t := range b.Trust {
		if t.TokenHeader != "" {
			names = append(names, t.TokenHeader)
		}
	}
	if names == nil {
		return nil
	}
	return forward.NewNames(names)
}

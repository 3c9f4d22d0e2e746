package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"authsidecar/caddymodule/config/expression"
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
		made, err := rule.build()
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

// A ruleList is the rules of a word.
type ruleList struct {
	word  string
	rules []*Rule
}

// conditions returns the conditions of a trust on its callers, as rules.
func (t *Trust) conditions() []ruleList {
	bound := func(word string, rules ...*Rule) ruleList {
		list := ruleList{word: "trust " + t.Issuer + ": " + word}
		for _, r := range rules {
			one := *r
			one.From = t.Issuer
			list.rules = append(list.rules, &one)
		}
		return list
	}
	lists := []ruleList{bound("only", t.Only...)}
	if t.UsersIf != nil {
		lists = append(lists, bound("users", t.UsersIf))
	}
	return lists
}

// warnRules warns about rules that never hold, and about rules that always do.
func (b *Block) warnRules() (found []string) {
	lists := []ruleList{{"allow", b.Allow}, {"shadow allow", b.Shadow}, {"manage", b.Manage}, {"report_client", b.ReportClient}}
	for _, t := range b.Trust {
		lists = append(lists, t.conditions()...)
	}
	for _, list := range lists {
		for _, r := range list.rules {
			if why := b.neverHoldsReason(r); why != "" {
				found = append(found, fmt.Sprintf("%s %s can never hold: %s", list.word, r.kind(), why))
			}
			if always, constant := expression.Constant(r.Expression); constant && always {
				found = append(found, fmt.Sprintf("%s %s holds for everybody who has a token: `%s` asks for nothing; compare a claim of the caller, as in: caller.dept == \"support\"", list.word, r.kind(), r.Expression))
			}
		}
	}
	if slices.Contains(b.Protect, "*") && slices.ContainsFunc(b.Allow, func(r *Rule) bool { return !r.Self }) {
		found = append(found, "protect user * keeps everybody from being impersonated: no allow but self can ever hold; name whom you mean, or remove the other rules")
	}
	return found
}

// neverHoldsReason returns why a rule can never hold, and what to do; "" if it can.
func (b *Block) neverHoldsReason(r *Rule) string {
	if value, constant := expression.Constant(r.Expression); constant && !value {
		return fmt.Sprintf("`%s` is always false; correct it, or remove the rule", r.Expression)
	}
	if r.Claim == nil {
		return ""
	}
	from := r.From
	if from == "" {
		from = b.Trust[0].Issuer // the only one, as check ensures
	}
	name, value := r.Claim.Name, r.Claim.Value
	switch top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/"); top {
	case "iss":
		of, _ := b.trustedAs(from)
		if its, known := b.trustedAs(value); !known || its != of {
			return fmt.Sprintf("the callers that it is for have iss %s; bind it to an issuer with from, and ask for another claim", from)
		}
	case "exp", "iat", "nbf", "auth_time", "jti":
		return top + " differs in each token; ask for another claim"
	case "act", "cnf":
		return "a token with " + top + " creates no sessions; ask for another claim"
	}
	return ""
}

package config

import (
	"fmt"
	"slices"
	"strings"

	"authsidecar/caddymodule/config/expression"
)

// A ruleList is the rules of a word.
type ruleList struct {
	word  string
	rules []*Rule
}

// conditions are what a trust asks of callers, as rules for them.
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

// warnRules warns of rules that can never hold, and of those that always do.
func (b *Block) warnRules() (found []string) {
	lists := []ruleList{{"allow", b.Allow}, {"shadow allow", b.Shadow}, {"manage", b.Manage}}
	for _, t := range b.Trust {
		lists = append(lists, t.conditions()...)
	}
	for _, list := range lists {
		for _, r := range list.rules {
			if why := b.neverHolds(r); why != "" {
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

// neverHolds tells why a rule can never hold, with the mend; "" if it can.
func (b *Block) neverHolds(r *Rule) string {
	if value, constant := expression.Constant(r.Expression); constant && !value {
		return fmt.Sprintf("`%s` is false whoever calls; mend it, or remove the rule", r.Expression)
	}
	if r.Claim == nil {
		return ""
	}
	from := r.From
	if from == "" {
		from = b.Trust[0].Issuer // the only one: check saw to it
	}
	name, value := r.Claim.Name, r.Claim.Value
	switch top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/"); top {
	case "iss":
		of, _ := b.trustedAs(from)
		if its, known := b.trustedAs(value); !known || its != of {
			return fmt.Sprintf("the callers that it is for have iss %s; bind it to an issuer with from, and ask for another claim", from)
		}
	case "exp", "iat", "nbf", "auth_time", "jti":
		return top + " is another one in each token; ask for another claim"
	case "act", "cnf":
		return "a token with " + top + " creates no sessions; ask for another claim"
	}
	return ""
}

package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
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
func (h *Handler) warnRules() (found []string) {
	lists := []ruleList{{"allow", h.Allow}, {"shadow allow", h.Shadow}, {"manage", h.Manage}}
	for _, t := range h.Trust {
		lists = append(lists, t.conditions()...)
	}
	for _, list := range lists {
		for _, r := range list.rules {
			if why := h.neverHolds(r); why != "" {
				found = append(found, fmt.Sprintf("%s %s can never hold: %s", list.word, r.kind(), why))
			}
			if always, constant := constantOf(r.Expression); constant && always {
				found = append(found, fmt.Sprintf("%s %s holds for everybody who has a token: `%s` asks for nothing; compare a claim of the caller, as in: caller.dept == \"support\"", list.word, r.kind(), r.Expression))
			}
		}
	}
	if slices.Contains(h.Protect, "*") && slices.ContainsFunc(h.Allow, func(r *Rule) bool { return !r.Self }) {
		found = append(found, "protect user * keeps everybody from being impersonated: no allow but self can ever hold; name whom you mean, or remove the other rules")
	}
	return found
}

// neverHolds tells why a rule can never hold, with the mend; "" if it can.
func (h *Handler) neverHolds(r *Rule) string {
	if value, constant := constantOf(r.Expression); constant && !value {
		return fmt.Sprintf("`%s` is false whoever calls; mend it, or remove the rule", r.Expression)
	}
	if r.Claim == nil {
		return ""
	}
	from := r.From
	if from == "" {
		from = h.Trust[0].Issuer // the only one: check saw to it
	}
	name, value := r.Claim.Name, r.Claim.Value
	switch top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/"); top {
	case "iss":
		of, _ := h.trustedAs(from)
		if its, known := h.trustedAs(value); !known || its != of {
			return fmt.Sprintf("the callers that it is for have iss %s; bind it to an issuer with from, and ask for another claim", from)
		}
	case "exp", "iat", "nbf", "auth_time", "jti":
		return top + " is another one in each token; ask for another claim"
	case "act", "cnf":
		return "a token with " + top + " creates no sessions; ask for another claim"
	}
	return ""
}

// constantOf tells whether a CEL expression is the same whoever calls, and what.
func constantOf(src string) (value, constant bool) {
	if src == "" {
		return false, false
	}
	env, err := celEnv()
	if err != nil {
		return false, false
	}
	compiled, issues := env.Compile(src)
	if issues.Err() != nil {
		return false, false
	}
	folding, err := cel.NewConstantFoldingOptimizer()
	if err != nil {
		return false, false
	}
	optimizer, err := cel.NewStaticOptimizer(folding)
	if err != nil {
		return false, false
	}
	folded, issues := optimizer.Optimize(env, compiled)
	if issues.Err() != nil {
		return false, false
	}
	expr := folded.NativeRep().Expr()
	if expr.Kind() != ast.LiteralKind {
		return false, false
	}
	return expr.AsLiteral() == types.True, true
}

package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"authsidecar/caddymodule/config/expression"
	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions"
)

// Rule allows sessions. Exactly one of self, scope, claim and
// expression is set.
type Rule struct {
	// Users may have sessions for themselves.
	Self bool `json:"self,omitempty"`

	// Callers whose token has this scope may have sessions for other users.
	Scope string `json:"scope,omitempty" placeholders:"resolve"`

	// Callers whose token has this claim may have sessions for other users.
	Claim *ClaimRule `json:"claim,omitempty"`

	// Callers for whom this CEL expression is true may have sessions for other users. It sees
	// `caller` (the claims of the caller's token), and the strings `user_id`, `reason` and
	// `client_id`. An error counts as false.
	Expression string `json:"expression,omitempty" placeholders:"code"`

	// The issuer whose callers the rule applies to. Required, except for self, if several issuers
	// are trusted: a scope of one means nothing from another.
	From string `json:"from,omitempty"`
}

// ClaimRule matches a claim.
type ClaimRule struct {
	// The name of the claim, or a JSON pointer (RFC 6901) into nested ones,
	// which starts with a slash.
	Name string `json:"name"`

	// The value that the claim must have, or contain if it is an array.
	Value string `json:"value" placeholders:"resolve"`
}

func (b *Block) checkRules() error {
	if len(b.Allow) == 0 {
		return wrong("allow", "no allow: nobody could have a session; say who may, as in: allow self")
	}
	if len(b.Manage) > 0 && !b.Lifecycle {
		return wrong("manage", "manage is for listing and revoking, which only lifecycle serves: add lifecycle, or remove manage")
	}
	return cmp.Or(b.checkRuleList("allow", b.Allow), b.checkRuleList("shadow allow", b.Shadow),
		b.checkRuleList("report_client", b.ReportClient), b.checkRuleList("manage", b.Manage))
}

// checkRuleList checks the rules of a word, such as allow or manage.
func (b *Block) checkRuleList(word string, rules []*Rule) error {
	for i, r := range rules {
		at := fmt.Sprintf("%s.%d", word, i)
		if r == nil {
			return wrong(at, "%s nothing: write scope, claim or expression", word)
		}
		if word == "manage" && r.Self {
			return wrong(at, "manage self: everybody may manage their own sessions; remove it")
		}
		if word == "report_client" && r.Self {
			return wrong(at, "report_client self: whoever holds a user's token could make up any address; name the back ends, by scope, claim or expression")
		}
		if err := cmp.Or(r.check(at, word), b.checkFrom(at, word, r)); err != nil {
			return err
		}
		if slices.ContainsFunc(rules[:i], r.equal) {
			return wrong(at, "%s %s is given twice: remove one", word, r.kind())
		}
	}
	return nil
}

// check checks that the rule has exactly one condition, which is well formed.
func (r *Rule) check(at, word string) error {
	kinds := 0
	for _, given := range [...]bool{r.Self, r.Scope != "", r.Claim != nil, r.Expression != ""} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return wrong(at, "%s: a rule is exactly one of self, scope, claim and expression: make each a rule of its own", word)
	}
	switch {
	case r.Scope != "":
		if strings.ContainsFunc(r.Scope, isInvalidInScope) && !placeholder.Pending(r.Scope) {
			return wrong(at, "%s scope %q: this is not a scope: name one, without blanks and quotes", word, r.Scope)
		}
	case r.Claim != nil:
		if !claimPath(r.Claim.Name) || r.Claim.Value == "" {
			return wrong(at, "%s claim %q %q: write the name of a claim, or a JSON pointer like /realm/roles, and the value it must have", word, r.Claim.Name, r.Claim.Value)
		}
	case r.Expression != "":
		if _, err := expression.Compile(r.Expression); err != nil {
			return wrong(at, "%s expression: %w", word, err)
		}
	}
	return nil
}

// isInvalidInScope reports whether a scope cannot contain r (RFC 6749 section 3.3).
func isInvalidInScope(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '"' || r == '\\'
}

// claimPath reports whether s names a claim, or is a JSON pointer into one.
func claimPath(s string) bool {
	if s == "" || s == "/" {
		return false
	}
	escapes := strings.Count(s, "~0") + strings.Count(s, "~1")
	return !strings.HasPrefix(s, "/") || strings.Count(s, "~") == escapes
}

// checkFrom checks the issuer of the rule. A scope of one issuer means nothing from another, so
// with several issuers each rule must name one.
func (b *Block) checkFrom(at, word string, r *Rule) error {
	trusted := make([]string, len(b.Trust))
	users, tenants := false, ""
	for i, t := range b.Trust {
		trusted[i] = t.Issuer
		users = users || *t.Users
		if t.HasTenants() {
			tenants = t.Issuer
		}
	}
	_, known := b.trustedAs(r.From)
	switch {
	case r.Self && r.From != "":
		return wrong(at, "allow self takes no from: it is for the trusted issuers with the word users")
	case r.Self && !users:
		return wrong(at, "allow self: no trusted issuer's subjects are our users: write users in the trust block of the issuer whose subjects are")
	case r.Self:
		return nil
	case strings.Contains(r.From, "*"):
		return wrong(at, "%s %s from %s: a rule names one tenant: whoever administers another can give themselves any role; write one for each", word, r.kind(), r.From)
	case r.From != "" && !known:
		return wrong(at, "%s %s from %s: that issuer is not trusted: trusted are %s", word, r.kind(), r.From, names(trusted))
	case r.From == "" && tenants != "":
		return wrong(at, "%s %s: trust %s has tenants with different owners: name the one whose callers it is for, as in: %s %s from <issuer with the tenant>", word, r.kind(), tenants, word, r.kind())
	case r.From == "" && len(trusted) > 1:
		return wrong(at, "%s %s: several issuers are trusted: name the one whose callers it is for, as in: %s %s from %s", word, r.kind(), word, r.kind(), trusted[0])
	}
	return nil
}

// kind returns the word of the rule's condition.
func (r *Rule) kind() string {
	switch {
	case r.Self:
		return "self"
	case r.Scope != "":
		return "scope " + r.Scope
	case r.Claim != nil:
		return "claim " + r.Claim.Name + " " + r.Claim.Value
	default:
		return "expression"
	}
}

func (r *Rule) equal(o *Rule) bool {
	return r.kind() == o.kind() && r.Expression == o.Expression && r.From == o.From
}

// Name returns the rule as in a Caddyfile, without its first word.
func (r *Rule) Name() string {
	if r.Expression != "" {
		return "expression " + r.Expression
	}
	return r.kind()
}

func (r *Rule) build() (sessions.Rule, error) {
	rule := sessions.Rule{Name: r.Name()}
	switch {
	case r.Scope != "":
		rule.When = sessions.HasScope(r.Scope)
	case r.Claim != nil:
		rule.When = sessions.HasClaim{Name: r.Claim.Name, Value: r.Claim.Value}
	default:
		compiled, err := expression.Compile(r.Expression)
		if err != nil {
			return rule, fmt.Errorf("expression: %w", err)
		}
		rule.When = compiled
	}
	return rule, nil
}

package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"authsidecar/caddymodule/internal/placeholder"
)

func (h *Handler) checkRules() error {
	if len(h.Allow) == 0 {
		return wrong("allow", "no allow: nobody could have a session; say who may, as in: allow self")
	}
	if err := h.checkRuleList("allow", h.Allow); err != nil {
		return err
	}
	if err := h.checkRuleList("shadow allow", h.Shadow); err != nil {
		return err
	}
	if len(h.Manage) > 0 && !h.Lifecycle {
		return wrong("manage", "manage is for listing and revoking, which only lifecycle serves: add lifecycle, or remove manage")
	}
	return h.checkRuleList("manage", h.Manage)
}

// checkRuleList checks the rules of a word, allow or manage.
func (h *Handler) checkRuleList(word string, rules []*Rule) error {
	for i, r := range rules {
		at := fmt.Sprintf("%s.%d", word, i)
		if r == nil {
			return wrong(at, "%s nothing: write scope, claim or expression", word)
		}
		if word == "manage" && r.Self {
			return wrong(at, "manage self: everybody may manage his own sessions; remove it")
		}
		if err := r.check(at, word); err != nil {
			return err
		}
		if err := h.checkFrom(at, word, r); err != nil {
			return err
		}
		if slices.ContainsFunc(rules[:i], r.equal) {
			return wrong(at, "%s %s is given twice: remove one", word, r.kind())
		}
	}
	return nil
}

// check tells whether the rule is exactly one of its kinds, and could ever hold.
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
		if strings.ContainsFunc(r.Scope, notInScope) && !placeholder.Pending(r.Scope) {
			return wrong(at, "%s scope %q: no scope looks like that: name one, without blanks and quotes", word, r.Scope)
		}
	case r.Claim != nil:
		if !claimPath(r.Claim.Name) || r.Claim.Value == "" {
			return wrong(at, "%s claim %q %q: write the name of a claim, or a JSON pointer like /realm/roles, and the value it must have", word, r.Claim.Name, r.Claim.Value)
		}
	case r.Expression != "":
		if _, err := compileExpression(r.Expression); err != nil {
			return wrong(at, "%s expression: %w", word, err)
		}
	}
	return nil
}

// notInScope tells whether no scope can have r (RFC 6749 section 3.3).
func notInScope(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '"' || r == '\\'
}

// claimPath tells whether s names a claim, or is a JSON pointer into one.
func claimPath(s string) bool {
	if s == "" || s == "/" {
		return false
	}
	escapes := strings.Count(s, "~0") + strings.Count(s, "~1")
	return !strings.HasPrefix(s, "/") || strings.Count(s, "~") == escapes
}

// checkFrom checks whose callers the rule is for. A scope of one issuer means
// nothing from another, so that with several of them a rule says which.
func (h *Handler) checkFrom(at, word string, r *Rule) error {
	trusted := make([]string, len(h.Trust))
	users, tenants := false, ""
	for i, t := range h.Trust {
		trusted[i] = t.Issuer
		users = users || *t.Users
		if t.hasTenants() {
			tenants = t.Issuer
		}
	}
	_, known := h.trustedAs(r.From)
	switch {
	case r.Self && r.From != "":
		return wrong(at, "allow self takes no from: it is for the trusted issuers with the word users")
	case r.Self && !users:
		return wrong(at, "allow self: no trusted issuer's subjects are our users: write users in the trust block whose are")
	case r.Self:
		return nil
	case strings.Contains(r.From, "*"):
		return wrong(at, "%s %s from %s: a rule names one tenant: whoever administers another can give themselves any role; write one for each", word, r.kind(), r.From)
	case r.From != "" && !known:
		return wrong(at, "%s %s from %s: that issuer is not trusted: trusted are %s", word, r.kind(), r.From, names(trusted))
	case r.From == "" && tenants != "":
		return wrong(at, "%s %s: trust %s has tenants, each of them somebody else's: say whose callers it is for, as in: %s %s from <issuer with the tenant>", word, r.kind(), tenants, word, r.kind())
	case r.From == "" && len(trusted) > 1:
		return wrong(at, "%s %s: several issuers are trusted: say whose callers it is for, as in: %s %s from %s", word, r.kind(), word, r.kind(), trusted[0])
	}
	return nil
}

// kind is the word that says what kind of rule it is.
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

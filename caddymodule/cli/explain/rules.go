package explain

import (
	"cmp"
	"errors"

	"authsidecar/sessions"
)

// A Session reports whether the caller would get a session, and why.
type Session struct {
	UserID        string `json:"user_id"`
	Allowed       bool   `json:"allowed"`
	Impersonation bool   `json:"is_impersonation"`
	Rule          string `json:"rule,omitempty"` // the first that holds
	Rules         []Rule `json:"rules"`
	Why           string `json:"why,omitempty"`
	Mend          string `json:"mend,omitempty"`
}

// A Rule reports whether a rule holds.
type Rule struct {
	Rule  string `json:"rule"`
	Holds bool   `json:"holds"`
	Why   string `json:"why,omitempty"`
}

// session asks the policy.
func (s *Site) session(caller *sessions.Caller, asked Request) *Session {
	own := cmp.Or(caller.ClientID, s.Issuer)
	in := &sessions.RuleInput{Caller: caller, UserID: asked.User, Reason: asked.Reason, ClientID: cmp.Or(asked.Client, own)}
	in.OtherClient = in.ClientID != own && !s.Clients[in.ClientID]
	made := &Session{UserID: asked.User, Rules: explainRules(s.Policy, in)}
	decision, err := s.Policy.Decide(in)
	switch {
	case err == nil:
		made.Allowed, made.Impersonation, made.Rule = true, decision.Impersonation, decision.Rule
	case errors.Is(err, sessions.ErrReasonRequired):
		made.Why, made.Mend = "an impersonation needs a reason", `send "reason", and try it here with --reason`
	case errors.Is(err, sessions.ErrClient):
		made.Why, made.Mend = "a session for another client requires a rule about client_id", `leave "client_id" out, or add a rule about client_id: allow expression`
	case caller.Own:
		made.Why, made.Mend = "it is one of our own tokens", "call with a token of the identity provider: a session cannot create sessions"
	case caller.Acting:
		made.Why, made.Mend = "the token acts for somebody else (act)", "call with a token without act: an actor cannot impersonate further users"
	case isProtected(s.Policy, in):
		made.Why, made.Mend = "the user is protected", "remove the user from protect in the configuration, if they may be impersonated"
	default:
		made.Why, made.Mend = "no rule allows it", "give the caller what one of the rules above requires, or add a rule: allow scope, allow claim, allow expression"
	}
	return made
}

// explainRules evaluates each rule separately.
func explainRules(policy *sessions.Policy, in *sessions.RuleInput) []Rule {
	rules := make([]Rule, 0, len(policy.Allow)+1)
	if policy.AllowSelf {
		own := sessions.Policy{AllowSelf: true}
		_, err := own.Decide(in)
		rule := Rule{Rule: "self", Holds: err == nil}
		switch {
		case err == nil:
		case in.Caller.IsMachine():
			rule.Why = "the token belongs to a machine, not to a user"
		default:
			rule.Why = "the caller is not that user, or the subjects of its issuer are not users (see users in the trust block)"
		}
		rules = append(rules, rule)
	}
	for i := range policy.Allow {
		rule := &policy.Allow[i]
		made := Rule{Rule: rule.Name}
		switch {
		case rule.From != in.Caller.From():
			made.Why = "it applies only to callers of " + rule.From
		case rule.When.Holds(in):
			made.Holds = true
		default:
			made.Why = "the token does not satisfy it"
		}
		rules = append(rules, made)
	}
	return rules
}

// isProtected reports whether only protect denies the session.
func isProtected(policy *sessions.Policy, in *sessions.RuleInput) bool {
	open := *policy
	open.Protect = nil
	_, err := open.Decide(in)
	return err == nil || errors.Is(err, sessions.ErrReasonRequired)
}

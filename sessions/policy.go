package sessions

import (
	"errors"
	"slices"
	"strings"
)

// RuleInput is what a rule decides on: who asks, for whom, and what they say.
type RuleInput struct {
	Caller   *Caller
	UserID   string
	Reason   string
	ClientID string
	// OtherClient means that ClientID is not the caller's own, nor one that any caller
	// may name.
	OtherClient bool
	// ErrorHolds is what a condition that cannot be evaluated counts as. False, but where
	// holding is what denies.
	ErrorHolds bool
}

// A Condition is the part of a rule that decides. A condition that cannot be
// evaluated does not hold, unless ErrorHolds says so.
type Condition interface {
	Holds(in *RuleInput) bool
	// Claims names the top-level claims of the caller that it looks at, whether they
	// are there or not. A row records them, so that the condition can be asked again;
	// where they were not recorded it does not hold. all means that it may look at any.
	Claims() (names []string, all bool)
	// PerSession reports whether the answer may differ from one session to the next,
	// by its user, reason or client. A Condition that is PerSession may have a method
	// MayHold(*Caller) bool, which says of whom it is known that it holds for no session.
	PerSession() bool
}

// A Rule lets the callers of an issuer have sessions for other users.
type Rule struct {
	// Name says the rule as the operator wrote it, for logs.
	Name string
	// From is the issuer whose callers it is for, as Caller.From names it. It is
	// never empty: a scope of one issuer means nothing from another.
	From string
	When Condition
}

// A Policy decides which caller may have a session for which user. Its zero
// value allows nothing.
type Policy struct {
	// AllowSelf lets users have sessions for themselves.
	AllowSelf bool
	// Allow are the rules for everybody else, in order.
	Allow []Rule
	// Protect are user ids, or globs with *, that are never impersonated, however they
	// are spelt (see fold).
	Protect []string
	// RequireReason asks for a reason for each impersonation.
	RequireReason bool
}

// A Decision is a yes: what kind of session, and which rule said so.
type Decision struct {
	Impersonation bool
	Rule          string
}

// Decide reports whether the caller may have a session for in.UserID. A no is an
// error that wraps ErrDenied, or ErrReasonRequired where only the reason is
// missing, or ErrClient where it is the client. A session is an impersonation
// unless the caller is the user.
func (p *Policy) Decide(in *RuleInput) (Decision, error) {
	if in.Caller.Own {
		return Decision{}, errCallerOwn
	}
	if in.Caller.Acting {
		return Decision{}, errCallerActing
	}
	if p.AllowSelf && in.Caller.IsUser() && in.Caller.Subject == in.UserID {
		if in.OtherClient {
			return Decision{}, ErrClient
		}
		return Decision{Rule: "self"}, nil
	}
	if p.protected(in.UserID) {
		return Decision{}, errProtected
	}
	no := errNoRule
	for i := range p.Allow {
		rule := &p.Allow[i]
		if rule.From != in.Caller.From() {
			continue
		}
		switch err := rule.permits(in); {
		case err == nil && p.RequireReason && strings.TrimSpace(in.Reason) == "":
			return Decision{}, ErrReasonRequired
		case err == nil:
			return Decision{Impersonation: true, Rule: rule.Name}, nil
		case !errors.Is(err, errNoRule):
			no = err
		}
	}
	return Decision{}, no
}

// mayAllow reports whether the policy may let the caller have a session for somebody else.
func (p *Policy) mayAllow(c *Caller) bool {
	return slices.ContainsFunc(p.Allow, func(rule Rule) bool { return rule.From == c.From() && rule.mayHold(c) })
}

// mayHold reports whether the rule holds for the caller, or may for some sessions.
func (r *Rule) mayHold(c *Caller) bool {
	switch some, knows := r.When.(interface{ MayHold(c *Caller) bool }); {
	case !c.knows(r.When):
		return false
	case r.When.PerSession():
		return !knows || some.MayHold(c)
	default:
		return r.When.Holds(&RuleInput{Caller: c})
	}
}

// permits asks the rule. Another client than the caller's own it permits only by that
// client: where it holds whatever the client is, it was written without a thought of it.
func (r *Rule) permits(in *RuleInput) error {
	switch {
	case !in.Caller.knows(r.When):
		return errNotRecorded
	case !r.When.Holds(in):
		return errNoRule
	case !in.OtherClient:
		return nil
	}
	nameless := *in
	nameless.ClientID, nameless.ErrorHolds = "", true
	if r.When.Holds(&nameless) {
		return ErrClient
	}
	return nil
}

func (p *Policy) protected(userID string) bool {
	if len(p.Protect) == 0 {
		return false
	}
	folded := fold(userID)
	for _, pattern := range p.Protect {
		if glob(pattern, userID) || glob(fold(pattern), folded) {
			return true
		}
	}
	return false
}

// glob matches a pattern whose * stands for any run of characters.
func glob(pattern, s string) bool {
	head, tail, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, head)
	if !ok {
		return false
	}
	for {
		part, rest, more := strings.Cut(tail, "*")
		if !more {
			return strings.HasSuffix(s, part)
		}
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s, tail = s[at+len(part):], rest
	}
}

// record notes in the row what the rules of the caller's issuer, and further conditions,
// look at, so that they can be asked again.
func (p *Policy) record(s *Session, c *Caller, further ...Condition) {
	asked := slices.Clip(further)
	for i := range p.Allow {
		if p.Allow[i].From == c.From() {
			asked = append(asked, p.Allow[i].When)
		}
	}
	for _, when := range asked {
		names, all := when.Claims()
		if all && c.recorded != nil && !c.recorded.Whole {
			continue // what is unknown stays so
		}
		if all {
			s.ActorClaims, s.ActorAbsent, s.ActorWhole = c.Claims, nil, true
			return
		}
		for _, name := range names {
			s.record(name, c)
		}
	}
}

// record notes what the token said of a claim.
func (s *Session) record(name string, c *Caller) {
	value, ok := c.Claims[name]
	if !ok {
		unknown := c.recorded != nil && !c.recorded.Whole && !slices.Contains(c.recorded.Absent, name)
		if !unknown && !slices.Contains(s.ActorAbsent, name) {
			s.ActorAbsent = append(s.ActorAbsent, name)
		}
		return
	}
	if s.ActorClaims == nil {
		s.ActorClaims = Claims{}
	}
	s.ActorClaims[name] = value
}

// recorded returns the caller of a row, as far as it was recorded. Rows of earlier
// releases do not say what was absent; but what the rule looks at that allowed them was
// looked at then too.
func (p *Policy) recorded(s *Session, trust *Trust) *Caller {
	c := &Caller{
		Principal: s.Actor, Trust: trust.Name, ClientID: s.ActorClient, Scopes: s.ActorClaims.Scopes(), Claims: s.ActorClaims,
		recorded: &recorded{Absent: s.ActorAbsent, Whole: s.ActorWhole, sub: s.ActorSub, sid: s.ActorSID, authAt: s.ActorAuthAt},
	}
	if len(s.ActorAbsent) > 0 || s.ActorWhole {
		return c
	}
	for i := range p.Allow {
		if p.Allow[i].Name == s.Rule && p.Allow[i].From == c.From() {
			c.recorded.Absent, c.recorded.Whole = p.Allow[i].When.Claims()
		}
	}
	return c
}

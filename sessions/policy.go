package sessions

import (
	"errors"
	"slices"
	"strings"
)

// RuleInput is what a rule decides on: the caller, the user, and the request.
type RuleInput struct {
	Caller   *Caller
	UserID   string
	Reason   string
	ClientID string
	// OtherClient means that ClientID is neither the caller's own client nor one that any caller
	// may name.
	OtherClient bool
	// ErrorHolds is the result of a condition that cannot be evaluated. It is true only where
	// holding means a refusal.
	ErrorHolds bool
}

// A Condition is the part of a rule that decides. A condition that cannot be evaluated does not
// hold, unless ErrorHolds is set.
type Condition interface {
	Holds(in *RuleInput) bool
	// Claims returns the names of the caller's top-level claims that it reads, present or absent. A
	// row records them, so that the condition can be evaluated again; if they were not recorded, it
	// does not hold. all means that it may read any claim.
	Claims() (names []string, all bool)
	// PerSession reports whether the result depends on the user, the reason or the client of a
	// session. Such a Condition may have a method MayHold(*Caller) bool, which reports false for
	// callers for whom it cannot hold for any session.
	PerSession() bool
}

// A Rule allows the callers of an issuer to have sessions for other users.
type Rule struct {
	// Name is the rule as the operator wrote it, for logs.
	Name string
	// From is the issuer whose callers the rule applies to, as Caller.From returns it. It is never
	// empty: a scope of one issuer means nothing from another.
	From string
	When Condition
}

// A Policy decides which caller may have a session for which user. Its zero value allows nothing.
type Policy struct {
	// AllowSelf allows users to have sessions for themselves.
	AllowSelf bool
	// Allow are the rules for all other sessions, in order.
	Allow []Rule
	// Protect are user ids, or globs with *, of users who are never impersonated, in any spelling
	// of the id (see fold).
	Protect []string
	// RequireReason requires a reason for each impersonation.
	RequireReason bool
}

// A Decision allows a session: its kind, and the rule that allowed it.
type Decision struct {
	Impersonation bool
	Rule          string
}

// Decide decides whether the caller may have a session for in.UserID. The error wraps ErrDenied, or
// is ErrReasonRequired if only the reason is missing, or ErrClient if only the client is the
// problem. A session is an impersonation unless the caller is the user.
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

// mayAllow reports whether the policy may allow the caller a session for somebody else.
func (p *Policy) mayAllow(c *Caller) bool {
	return slices.ContainsFunc(p.Allow, func(rule Rule) bool { return rule.From == c.From() && rule.mayHold(c) })
}

// mayHold reports whether the rule holds for the caller, or may hold for some sessions.
func (r *Rule) mayHold(c *Caller) bool {
	switch some, knows := r.When.(interface{ MayHold(c *Caller) bool }); {
	case !c.knowsClaims(r.When):
		return false
	case r.When.PerSession():
		return !knows || some.MayHold(c)
	default:
		return r.When.Holds(&RuleInput{Caller: c})
	}
}

// permits evaluates the rule. It permits another client than the caller's own only if the rule
// depends on the client: a rule that holds for every client was not written with that in mind.
func (r *Rule) permits(in *RuleInput) error {
	switch {
	case !in.Caller.knowsClaims(r.When):
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

// glob reports whether s matches a pattern in which * stands for any characters.
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

// record stores in the row the claims that the rules of the caller's issuer, and further
// conditions, read, so that they can be evaluated again.
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
			continue // what was not recorded stays unknown
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

// record stores what the token says of a claim.
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

// recorded returns the caller of a row, as far as it was recorded. Rows of earlier releases do not
// record absent claims, except that the claims read by the rule that allowed the session were known
// then.
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

package sessions

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrForbidden means that the caller may not manage sessions at all, or not
// those that a filter names, whatever exists.
var ErrForbidden = errors.New("caller may not manage these sessions")

// consoleAge is for how long the claims count by which a person signed in at the console.
const consoleAge = 24 * time.Hour

// ErrSignInAgain means that a person signed in at the console too long ago for their claims to
// give them anything.
var ErrSignInAgain = fmt.Errorf("%w: the sign-in is too old", ErrForbidden)

// Rights say which sessions a caller may see and end: those of the user that they
// are, the impersonations that they made, and those that a manage rule gives them.
type Rights struct {
	caller *Caller
	ip     string
	user   string // the user that the caller is; "" if none
	// operator: the caller is the operator of the server.
	operator bool
	manage   []Rule // those that hold for the caller, or may for some sessions
}

// Manages reports whether there may be sessions of others that a manage rule gives them.
func (r *Rights) Manages() bool { return len(r.manage) > 0 }

func (r *Rights) by() ender { return ender{by: r.caller.Principal, ip: r.ip} }

// Over reports whether the caller may see and end the session. A manage rule is
// decided for each session anew. Of an impersonation that is pending its user does not know yet.
func (r *Rights) Over(s *Session) bool {
	if r.user != "" && s.UserID == r.user && (s.Pending == nil || !s.Impersonation) {
		return true
	}
	if s.Impersonation && s.Actor == r.caller.Principal {
		return true
	}
	in := RuleInput{Caller: r.caller, UserID: s.UserID, Reason: s.Reason, ClientID: s.ClientID}
	for i := range r.manage {
		if r.manage[i].When.Holds(&in) {
			return true
		}
	}
	return false
}

// overAll reports whether the caller may end whatever the filter selects, before
// anybody looked at it. Who is no manager can say so of one user and of one actor
// alone, so that nobody fills the list of cutoffs with variations of themselves.
func (r *Rights) overAll(f *Filter) bool {
	if r.user != "" && *f == (Filter{User: r.user}) {
		return true
	}
	if f.Actor != nil && *f.Actor == r.caller.Principal && f.User == "" {
		return true
	}
	return slices.ContainsFunc(r.manage, func(rule Rule) bool { return !rule.When.PerSession() })
}

// A Filter selects sessions to list or to end. All that it names must match.
type Filter struct {
	User           string
	Actor          *Principal
	Impersonations bool
}

// Empty reports whether the filter names nothing.
func (f *Filter) Empty() bool { return *f == Filter{} }

// Query returns the filter as a query of the store.
func (f *Filter) Query(realm string) Query {
	q := Query{Realm: realm, User: f.User, Actor: f.Actor}
	if f.Impersonations {
		q.Impersonations = &f.Impersonations
	}
	return q
}

// Covers reports whether the filter selects the session.
func (f *Filter) Covers(s *Session) bool {
	r := s.Ref()
	return f.Selects(&r)
}

// Selects is Covers for what an access token says of its session.
func (f *Filter) Selects(r *Ref) bool {
	switch {
	case f.User != "" && f.User != r.UserID,
		f.Actor != nil && (!r.Impersonation || *f.Actor != r.Actor),
		f.Impersonations && !r.Impersonation:
		return false
	default:
		return true
	}
}

// queries returns the filter as queries of the store. Where it names nothing, it is
// for the caller's own sessions, or the impersonations that they made; for the operator it
// is for all. Who is no manager sees nothing else of others, so that is all that is read for them.
func (r *Rights) queries(realm string, f Filter) []Query {
	if f.Empty() && r.operator {
		own, impersonations := false, true
		return []Query{{Realm: realm, Impersonations: &own}, {Realm: realm, Impersonations: &impersonations}}
	}
	if f.Empty() {
		f.User = r.user
		if r.user == "" {
			f.Actor = &r.caller.Principal
		}
	}
	filters := []Filter{f}
	if len(r.manage) == 0 {
		filters = r.narrow(f)
	}
	queries := make([]Query, len(filters))
	for i := range filters {
		queries[i] = filters[i].Query(realm)
	}
	return queries
}

// narrow names in the filter of one who is no manager what they may see of it at the
// most, so that nothing of others is read for them: of all impersonations, those of them
// and those by them.
func (r *Rights) narrow(f Filter) []Filter {
	ofThem, byThem := f, f
	ofThem.User, byThem.Actor = r.user, &r.caller.Principal
	switch {
	case f.Actor != nil && *f.Actor == r.caller.Principal, r.user != "" && f.User == r.user:
		return []Filter{f}
	case r.user == "" || f.User != "":
		return []Filter{byThem}
	case f.Actor != nil: // others' impersonations of them
		return []Filter{ofThem}
	default:
		return []Filter{ofThem, byThem}
	}
}

// everySession holds for all of them.
type everySession struct{}

// Holds reports true.
func (everySession) Holds(*RuleInput) bool { return true }

// Claims names none.
func (everySession) Claims() (names []string, all bool) { return nil, false }

// PerSession reports false: it is the same for each.
func (everySession) PerSession() bool { return false }

// Interface guards
var _ Condition = everySession{}

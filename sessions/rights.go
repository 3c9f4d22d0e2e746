package sessions

import "errors"

// ErrForbidden means that the caller may not manage sessions at all, or not
// those that a filter names, whatever exists.
var ErrForbidden = errors.New("caller may not manage these sessions")

// Rights tell which sessions a caller may see and end: those of the user that he
// is, the impersonations that he made, and those that a manage rule gives him.
type Rights struct {
	caller *Caller
	user   string // the user that the caller is; "" if none
	manage []Rule // those of the caller's issuer
}

// RightsOf returns what the caller may manage. Who acts for a user is not the
// user, and may manage nothing: ErrForbidden.
func (m *Manager) RightsOf(c *Caller) (*Rights, error) {
	if c.Acting {
		return nil, ErrForbidden
	}
	r := &Rights{caller: c}
	if c.Own || isSelf(&RuleInput{Caller: c, UserID: c.Subject}) {
		r.user = c.Subject
	}
	for i := range m.Manage {
		if m.Manage[i].From == c.Issuer {
			r.manage = append(r.manage, m.Manage[i])
		}
	}
	return r, nil
}

// Over tells whether the caller may see and end the session. A manage rule is
// judged for each session anew.
func (r *Rights) Over(s *Session) bool {
	if r.user != "" && s.UserID == r.user {
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

// overAll tells whether the caller may end whatever the filter selects, now and
// before anybody looked at it.
func (r *Rights) overAll(f *Filter) bool {
	if r.user != "" && f.User == r.user {
		return true
	}
	if f.Actor != nil && *f.Actor == r.caller.Principal {
		return true
	}
	in := RuleInput{Caller: r.caller, UserID: f.User}
	for i := range r.manage {
		if !r.manage[i].When.PerSession() && r.manage[i].When.Holds(&in) {
			return true
		}
	}
	return false
}

// A Filter selects sessions to list or to end. All that it names must match.
type Filter struct {
	User           string
	Actor          *Principal
	Impersonations bool
}

// Empty tells whether the filter names nothing.
func (f *Filter) Empty() bool { return *f == Filter{} }

// Covers tells whether the filter selects the session.
func (f *Filter) Covers(s *Session) bool {
	switch {
	case f.User != "" && f.User != s.UserID,
		f.Actor != nil && (!s.Impersonation || *f.Actor != s.Actor),
		f.Impersonations && !s.Impersonation:
		return false
	default:
		return true
	}
}

// query returns the filter as a query of the store. Where it names nothing, it is
// for the caller's own sessions, or the impersonations that he made. Who is no
// manager sees nothing else of others, so that is all that is read for him.
func (r *Rights) query(realm string, f Filter) Query {
	if f.Empty() {
		f.User = r.user
		if r.user == "" {
			f.Actor = &r.caller.Principal
		}
	}
	if len(r.manage) == 0 && f.Actor == nil && (r.user == "" || f.User != r.user) {
		f.Actor = &r.caller.Principal
	}
	q := Query{Realm: realm, User: f.User, Actor: f.Actor}
	if f.Impersonations {
		q.Impersonations = &f.Impersonations
	}
	return q
}

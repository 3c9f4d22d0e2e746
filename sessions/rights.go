package sessions

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrForbidden means that the caller may not manage sessions at all, or none that the filter could
// select, whether or not there are any.
var ErrForbidden = errors.New("caller may not manage these sessions")

// consoleAge is how long the claims of a sign-in at the console give rights.
const consoleAge = 24 * time.Hour

// ErrSignInAgain means that a person signed in at the console too long ago for their claims to give
// them rights.
var ErrSignInAgain = fmt.Errorf("%w: the sign-in is too old", ErrForbidden)

// Rights are the sessions that a caller may see and revoke: their own as a user, the impersonations
// that they created, and those that a manage rule gives them.
type Rights struct {
	caller *Caller
	ip     string
	user   string // the user that the caller is; "" for none
	// operator means that the caller is the operator of the server.
	operator bool
	manage   []Rule // the rules that hold for the caller, or may hold for some sessions
}

// Manages reports whether a manage rule may give the caller sessions of others.
func (r *Rights) Manages() bool { return r.operator || len(r.manage) > 0 }

func (r *Rights) by() revoker { return revoker{by: r.caller.Principal, ip: r.ip} }

// Over reports whether the caller may see and revoke the session. Manage rules are evaluated for
// each session. A user does not see impersonations of them that are still pending.
func (r *Rights) Over(s *Session) bool {
	if r.operator || r.user != "" && s.UserID == r.user && (s.Pending == nil || !s.Impersonation) {
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

// overAll reports whether the caller may revoke everything that the filter selects, without reading
// any row. For a caller without a manage rule, that is so only for filters on one user or one
// actor, so that nobody can fill the list of cutoffs with variations.
func (r *Rights) overAll(f *Filter) bool {
	if r.operator || r.user != "" && *f == (Filter{User: r.user}) {
		return true
	}
	if f.Actor != nil && *f.Actor == r.caller.Principal && f.User == "" {
		return true
	}
	return slices.ContainsFunc(r.manage, func(rule Rule) bool { return !rule.When.PerSession() })
}

// A Filter selects sessions to list or to revoke. A session must match all fields that are set.
type Filter struct {
	User           string
	Actor          *Principal
	Impersonations bool
}

// Empty reports whether no field is set.
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

// Selects is Covers for the reference to a session in an access token.
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

// queries returns the filter as queries of the store. An empty filter means the caller's own
// sessions and the impersonations that they created, and for the operator all sessions. A caller
// without a manage rule sees nothing else, so nothing else is read for them.
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
	if !r.Manages() {
		filters = r.narrow(f)
	}
	queries := make([]Query, len(filters))
	for i := range filters {
		queries[i] = filters[i].Query(realm)
	}
	return queries
}

// narrow restricts the filter of a caller without a manage rule to what they may see, so that
// nothing else is read: of all impersonations, those of them and those by them.
func (r *Rights) narrow(f Filter) []Filter {
	ofThem, byThem := f, f
	ofThem.User, byThem.Actor = r.user, &r.caller.Principal
	switch {
	case f.Actor != nil && *f.Actor == r.caller.Principal, r.user != "" && f.User == r.user:
		return []Filter{f}
	case r.user == "" || f.User != "":
		return []Filter{byThem}
	case f.Actor != nil: // impersonations of them by others
		return []Filter{ofThem}
	default:
		return []Filter{ofThem, byThem}
	}
}

// A Revocation is the result of a bulk revocation.
type Revocation struct {
	// Revoked is how many sessions were revoked, or would be with dryRun.
	Revoked int
	// More means that there are more than Revoked. If Next is empty, those are revoked too.
	More bool
	// Next is the cursor with which to repeat the request for the rest.
	Next string
}

// revokeStep is the maximum number of sessions that one request revokes or counts, and revokeScan
// the maximum number of pages that it reads.
const (
	revokeStep = 1000
	revokeScan = 200
	revokePage = 100 // rows of a page
	revokeJoin = 16  // rows that are revoked together, sharing a commit
)

package logout

import (
	"slices"
	"time"

	"authsidecar/sessions"
)

// EndLogout is the reason of sessions that were revoked by a notice.
const EndLogout sessions.EndReason = "logout"

// An Action is what to do with the sessions that a notice applies to.
type Action string

// The actions.
const (
	Revoke               Action = "revoke"
	RevokeImpersonations Action = "revoke-impersonations" // by and of the subject; own sessions go on
	Log                  Action = "log"
)

// A Notice is an issuer's report that something is over. At least one of SID, Subject and User is
// set.
type Notice struct {
	// Kind is the short name of the event, as in logs; JTI identifies the token that reported it.
	Kind string
	JTI  string
	// Issuer is the issuer's name in the token, Trust its name in rules, and Issuers are all names
	// that its tokens may have for it.
	Issuer  string
	Trust   string
	Issuers []string
	// SID is a session at the issuer, Subject a "sub" of its tokens, and User the value of the
	// claim that identifies callers, if that is not "sub".
	SID     string
	Subject string
	User    string
	// At is the time of the notice, by the issuer's clock.
	At time.Time
	// Marked is how long an older token may still be presented: the maximum lifetime, plus leeway.
	Marked time.Duration
	Action Action
	// Account means that the account itself was deleted or disabled: impersonations of the user are
	// revoked as well. UserID is the user id here, if the notice contains it; otherwise it is known
	// only from the user's own sessions.
	Account bool
	UserID  string
	// IP is the address of the request with the notice.
	IP string
}

// ends reports whether the notice applies to a row that was found for it.
func (n *Notice) ends(s *sessions.Session) bool {
	switch {
	case !n.isFrom(s), n.Action == RevokeImpersonations && !s.Impersonation:
		return false
	case n.SID != "" && s.ActorSID == n.SID:
		return true
	case !n.names(s) || n.SID != "" && s.ActorSID != "":
		return false
	default: // of an older token, as far as the row records
		return !s.ActorAuthAt.After(n.At)
	}
}

// isFrom reports whether the row's caller had a token of the issuer.
func (n *Notice) isFrom(s *sessions.Session) bool { return slices.Contains(n.Issuers, s.Actor.Issuer) }

// names reports whether the row's caller is the subject of the notice.
func (n *Notice) names(s *sessions.Session) bool {
	return n.Subject != "" && subjectOf(s) == n.Subject || n.User != "" && s.Actor.Subject == n.User
}

// The kind of a mark is what a token must have to be refused.
const (
	markSID       = "sid"          // this session at the issuer
	markSubject   = "sub"          // this subject, and an older sign-in
	markNoSession = "sub, no sid"  // the same, and no sid
	markUser      = "user"         // this name of a caller, and an older sign-in
	markActing    = "as an actor " // prefix of the above, for impersonations only
)

// marks returns the marks of a notice. They apply to sign-ins up to At.
func (n *Notice) marks(now time.Time) []Mark {
	var marks []Mark
	add := func(kind, value string) {
		if value == "" {
			return
		}
		if n.Action == RevokeImpersonations {
			kind = markActing + kind
		}
		marks = append(marks, Mark{Name: name(kind, n.Trust, value), At: n.At.UTC().Truncate(time.Millisecond), Until: now.Add(n.Marked)})
	}
	add(markSID, n.SID)
	if n.SID != "" {
		add(markNoSession, n.Subject)
	} else {
		add(markSubject, n.Subject)
	}
	add(markUser, n.User)
	return marks
}

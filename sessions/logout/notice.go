package logout

import (
	"slices"
	"time"

	"authsidecar/sessions"
)

// EndLogout ends the sessions of a caller whose issuer said that they are over.
const EndLogout sessions.EndReason = "logout"

// An Action is what becomes of the sessions that a notice is of.
type Action string

// The actions.
const (
	Revoke               Action = "revoke"
	RevokeImpersonations Action = "revoke-impersonations" // those by and of the subject; own sessions go on
	Log                  Action = "log"
)

// A Notice is what an issuer says is over: at least one of SID, Subject and User is named.
type Notice struct {
	// Kind is the event, by a short name, as logs have it; JTI names the token that said it.
	Kind string
	JTI  string
	// Issuer is what the token calls its issuer; Trust is what rules call it, and Issuers are
	// all names that tokens of that issuer have.
	Issuer  string
	Trust   string
	Issuers []string
	// SID is a session at the issuer, Subject is a "sub" of its tokens, and User is what the
	// claim has there that names callers, where that is not "sub".
	SID     string
	Subject string
	User    string
	// At is as of when: by the issuer's clock.
	At time.Time
	// Marked is for how long a token from before may be presented: the longest life of one,
	// and leeway.
	Marked time.Duration
	Action Action
	// Account means that it is the account that is over, or closed for now, and not what
	// somebody did with it: impersonations of the user end as well. UserID is who that is here,
	// where the notice says so; else it is known by the user's own sessions alone.
	Account bool
	UserID  string
	// IP is the address that the notice came from.
	IP string
}

// ends reports whether the notice is about a row that it found.
func (n *Notice) ends(s *sessions.Session) bool {
	switch {
	case !n.isFrom(s), n.Action == RevokeImpersonations && !s.Impersonation:
		return false
	case n.SID != "" && s.ActorSID == n.SID:
		return true
	case !n.names(s) || n.SID != "" && s.ActorSID != "":
		return false
	default: // of a token from before, as far as the row knows
		return !s.ActorAuthAt.After(n.At)
	}
}

// isFrom reports whether the row's caller had a token of the issuer.
func (n *Notice) isFrom(s *sessions.Session) bool { return slices.Contains(n.Issuers, s.Actor.Issuer) }

// names reports whether the row is of the subject of the notice.
func (n *Notice) names(s *sessions.Session) bool {
	return n.Subject != "" && subjectOf(s) == n.Subject || n.User != "" && s.Actor.Subject == n.User
}

// A kind of marks says what a token has that is refused.
const (
	markSID       = "sid"          // this session at the issuer
	markSubject   = "sub"          // this subject, and an older sign-in
	markNoSession = "sub, no sid"  // the same, where there is no sid
	markUser      = "user"         // this name of a caller, and an older sign-in
	markActing    = "as an actor " // before one of these: for an impersonation
)

// marks returns what a notice leaves: a sign-in that is not after it is over.
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

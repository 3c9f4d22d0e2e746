package logout

import (
	"context"
	"fmt"

	"authsidecar/sessions"
)

// An asked is a mark that a token is held against.
type asked struct {
	always bool // whenever the token is from
}

// SignedOut reports why a caller may have no session by their token: its issuer said that the
// session at the issuer, or everything of the subject until a time, is over. The time of the
// token is its "auth_time", else its "iat"; one that has neither is from before. Then the error
// is sessions.ErrStale. It is the SignedOut of a sessions.Manager.
func (l *Logouts) SignedOut(ctx context.Context, c *sessions.Caller, s *sessions.Session) error {
	store, ok := sessions.As[Store](l.Manager.Store)
	if !ok || c.Own || !l.Listens(c.From()) {
		return nil
	}
	asks := marksFor(c.From(), s)
	names := make([]string, 0, len(asks))
	for name := range asks {
		names = append(names, name)
	}
	marks, err := store.Marks(ctx, s.Realm, names)
	if err != nil {
		return fmt.Errorf("asking whether the caller signed out: %w", err)
	}
	for i := range marks {
		if asks[marks[i].Name].always || !s.ActorAuthAt.After(marks[i].At) {
			return sessions.ErrStale
		}
	}
	return nil
}

// marksFor returns the names of all marks that a session is refused by.
func marksFor(trust string, s *sessions.Session) map[string]asked {
	asks := make(map[string]asked, 8)
	add := func(kind, value string, how asked) {
		asks[name(kind, trust, value)] = how
		if s.Impersonation {
			asks[name(markActing+kind, trust, value)] = how
		}
	}
	if s.ActorSID != "" {
		add(markSID, s.ActorSID, asked{always: true})
	} else {
		add(markNoSession, subjectOf(s), asked{})
	}
	add(markSubject, subjectOf(s), asked{})
	add(markUser, s.Actor.Subject, asked{})
	return asks
}

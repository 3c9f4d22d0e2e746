package logout

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"authsidecar/sessions"
)

// SignedOut returns sessions.ErrStale if the issuer has reported that the session at the issuer of
// a caller's token, or everything of its subject up to a time, is over. The time of a token is its
// "auth_time", or else its "iat"; a token without either counts as older. Use it as SignedOut of a
// sessions.Manager.
func (l *Logouts) SignedOut(ctx context.Context, c *sessions.Caller, s *sessions.Session) error {
	store, ok := sessions.As[Store](l.Manager.Store)
	if !ok || c.Own || !l.Listens(c.From()) {
		return nil
	}
	asks := marksFor(c.From(), s)
	marks, err := store.Marks(ctx, s.Realm, slices.AppendSeq(make([]string, 0, len(asks)), maps.Keys(asks)))
	if err != nil {
		return fmt.Errorf("asking whether the caller signed out: %w", err)
	}
	for i := range marks {
		if asks[marks[i].Name] || !s.ActorAuthAt.After(marks[i].At) {
			return sessions.ErrStale
		}
	}
	return nil
}

// marksFor returns the names of all marks that apply to a session, and for each whether it applies
// whatever the time of the token.
func marksFor(trust string, s *sessions.Session) map[string]bool {
	asks := make(map[string]bool, 8)
	add := func(kind, value string, always bool) {
		asks[name(kind, trust, value)] = always
		if s.Impersonation {
			asks[name(markActing+kind, trust, value)] = always
		}
	}
	if s.ActorSID != "" {
		add(markSID, s.ActorSID, true)
	} else {
		add(markNoSession, subjectOf(s), false)
	}
	add(markSubject, subjectOf(s), false)
	add(markUser, s.Actor.Subject, false)
	return asks
}

package sessions_test

import (
	"errors"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

// What a shadow policy says of each request is reported, and decides nothing.
func TestShadow_IsReportedAndDecidesNothing(t *testing.T) {
	desk := person("desk", sessions.Claims{"scope": "desk"})
	rule := sessions.Rule{Name: "in shadow mode", From: provider, When: sessions.HasScope("desk")}
	for _, c := range []struct {
		name           string
		policy, shadow *sessions.Policy
		user           string
		allowed        bool
		refused, says  error // the request, and what the policy says of it
	}{
		{"it would allow what is denied", new(sessions.Policy), &sessions.Policy{Allow: []sessions.Rule{rule}}, "alice", false, nil, nil},
		{"it would deny what is allowed", &sessions.Policy{Allow: []sessions.Rule{rule}}, new(sessions.Policy), "alice", true, nil, sessions.ErrDenied},
		{"it is asked about no name that is none", &sessions.Policy{Allow: []sessions.Rule{rule}}, new(sessions.Policy), " ", false, sessions.ErrUserID, nil},
	} {
		w := newWorld(t, func(m *sessions.Manager) { m.Policy, m.Shadow = c.policy, c.shadow })
		_, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: desk, UserID: c.user, IP: maker})
		if (err == nil) != c.allowed {
			t.Errorf("%s: %v", c.name, err)
		}
		var shadowed []sessions.Event
		for _, e := range w.events {
			if e.Kind == event.Shadowed {
				shadowed = append(shadowed, e)
			}
		}
		if c.refused != nil {
			if len(shadowed) != 0 {
				t.Errorf("%s: reported %v", c.name, shadowed)
			}
			continue
		}
		if len(shadowed) != 1 || !errors.Is(shadowed[0].Err, c.says) || (c.says == nil) != (shadowed[0].Err == nil) || shadowed[0].Session.ID != "" || shadowed[0].IP != maker {
			t.Errorf("%s: reported %+v", c.name, shadowed)
			continue
		}
		if c.says == nil && (shadowed[0].Session.Rule != rule.Name || !shadowed[0].Session.Impersonation) {
			t.Errorf("%s: by %q", c.name, shadowed[0].Session.Rule)
		}
	}
}

package caddymodule_test

import (
	"strings"
	"testing"
)

// A rule on trial says what it would decide, and grants nothing.
func TestShadow_ARuleOnTrialDecidesNothing(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, "protect user root\n\t\tshadow allow claim dept night-shift"))
	night := provider.token("carol", map[string]any{"dept": "night-shift"})

	tried := func(user, says string) {
		t.Helper()
		waitUntil(t, "the trial for "+user+" says "+says, func() bool {
			for line := range strings.Lines(s.log.String()) {
				if strings.Contains(line, `"msg":"session tried"`) && strings.Contains(line, `"user_id":"`+user+`"`) && strings.Contains(line, says) {
					return true
				}
			}
			return false
		})
	}
	wantProblem(t, create(t, s.url, night, `{"user_id":"alice"}`), 403, "insufficient_scope")
	tried("alice", `"rule":"claim dept night-shift"`)
	wantProblem(t, create(t, s.url, night, `{"user_id":"root"}`), 403, "insufficient_scope")
	tried("root", `the user is protected`)
	// Who has a session by a rule in force gets it by that one.
	wantStatus(t, create(t, s.url, provider.token("bob", nil), `{"user_id":"bob"}`), 200)
	tried("bob", `no rule allows it`)
}

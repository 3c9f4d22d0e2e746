package caddymodule_test

import (
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A shadow rule says what it would decide, and grants nothing.
func TestShadow_ARuleDecidesNothing(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "protect user root\n\t\tshadow allow claim dept night-shift"))
	night := provider.Token("carol", map[string]any{"dept": "night-shift"})

	tried := func(user, says string) {
		t.Helper()
		waitUntil(t, "the shadow rule decides for "+user+": "+says, func() bool {
			for line := range strings.Lines(s.Log()) {
				if strings.Contains(line, `"msg":"session tried"`) && strings.Contains(line, `"user_id":"`+user+`"`) && strings.Contains(line, says) {
					return true
				}
			}
			return false
		})
	}
	sidecartest.WantProblem(t, s.Create(night, `{"user_id":"alice"}`), 403, "insufficient_scope")
	tried("alice", `"rule":"claim dept night-shift"`)
	sidecartest.WantProblem(t, s.Create(night, `{"user_id":"root"}`), 403, "insufficient_scope")
	tried("root", `the user is protected`)
	// Who has a session by a rule in force gets it by that one.
	sidecartest.WantStatus(t, s.Create(provider.Token("bob", nil), `{"user_id":"bob"}`), 200)
	tried("bob", `no rule allows it`)
}

package interop

import (
	"strings"
	"testing"
)

// Somebody signs out at their provider, which says so by itself: their session ends in the browser,
// with its streams.
func TestStory_ASignOutAtTheProviderEndsTheSessionInTheBrowser(t *testing.T) {
	t.Parallel()
	s := newStory(t, nil)
	alice := s.first
	alice.visit(s.URL + "/orders")
	alice.signIn("alice")
	alice.until("/orders is alice")
	run[bool](alice, `return follow()`)
	s.work("200 /work is alice", cookieOwn, alice)

	elsewhere := s.another(alice)
	elsewhere.visit(s.provider + "/session/end")
	elsewhere.until("sign-out from")
	run[bool](elsewhere, `setTimeout(() => document.querySelector("[name=logout]").click(), 0); return true`)
	alice.overSoon()
	if got := run[string](alice, `return work()`); !strings.HasPrefix(got, "401 ") {
		t.Errorf("who signed out at the provider gets %s", got)
	}
	alice.visit(s.URL + "/orders")
	alice.until("Sign-in")
	s.WaitLog("sessions revoked by their issuer", `"kind":"backchannel-logout"`, `"sessions":1`)
	s.search()
}

package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
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

// Whoever signed out, or stopped acting as somebody, goes back in their browser, in any tab, and sees
// nothing of what was private: browsers keep pages for that.
func TestStory_BackShowsNothingThatWasPrivate(t *testing.T) {
	t.Parallel()
	s := newStory(t, nil)
	alice := s.first
	alice.visit(s.URL + "/plain/1")
	alice.signIn("alice")
	alice.until("/plain/1 is alice")
	second := s.another(alice)
	for _, tab := range []*browser{alice, second} {
		tab.visit(s.URL + "/plain/2")
		tab.visit(s.URL + "/plain/3")
		tab.back()
		tab.until("/plain/2 is alice")
		tab.visit(s.URL + "/orders")
	}
	carol := s.somebody()
	s.actAs(carol)
	carol.visit(s.URL + "/plain/4")
	carol.until("/plain/4 is alice by carol")
	carol.visit(s.URL + "/desk")
	carol.submit("") // stop
	carol.until("/home is carol")
	carol.back()
	carol.until("/desk is carol")
	carol.back()
	carol.until("/plain/4 is carol")

	alice.submit("") // sign out
	alice.signOut()
	second.back()
	second.until("Sign-in")
	for range 4 {
		alice.back()
		if got := run[string](alice, `return location.href + " " + document.body?.innerText`); strings.Contains(got, "is alice") {
			t.Errorf("whoever goes back after a sign-out sees %s", got)
		}
	}
}

// back goes back in the history of the tab, and waits until another page is there.
func (b *browser) back() {
	b.t.Helper()
	const page = `location.href + " " + performance.timeOrigin`
	before := run[string](b, "return "+page)
	run[bool](b, `setTimeout(() => history.back(), 0); return true`)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		now, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.readyState === "complete" ? `+page+` : ""`))
		if err == nil && now != "" && now != before {
			return
		}
	}
	b.t.Fatalf("nothing is behind %s", before)
}

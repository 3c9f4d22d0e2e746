package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// People sign in, work in two tabs, and sign out in both. Others act as one of them, and are ended
// by an officer. After it no token is anywhere but in the browser's cookies.
func TestStory_PeopleSignInActAsOthersAndSignOut(t *testing.T) {
	t.Parallel()
	s := newStory(t, nil, "console CONSOLE", "banner")
	alice := s.first
	alice.visit(s.URL + "/orders")
	alice.signIn("alice")
	alice.until("/orders is alice")
	second := s.another(alice)
	second.visit(s.URL + "/second")
	s.work("200 /work is alice", cookieOwn, alice, second)

	carol := s.somebody()
	s.actAs(carol)
	s.work("200 /work is alice by carol", cookieAs, carol)
	picture(t, carol, "bar")
	carol.visit(s.URL + "/billing/cards")
	carol.until("Not while acting as another user")
	s.look(carol)
	picture(t, carol, "denied")
	carol.visit(s.URL + "/desk")
	carol.submit("") // stop
	carol.until("/home is carol")
	s.isEnded(carol)

	alice.submit(`document.querySelector("form").action = "/logout"`) // the app's own sign-out
	alice.signOut()
	if got := run[string](second, `return work()`); !strings.HasPrefix(got, "401 ") {
		t.Errorf("in the second tab: %s", got)
	}
	picture(t, alice, "signed-out")
	second.visit(s.URL + "/second")
	second.until("Sign-in") // at the provider
	s.search()
}

// work has pages work while their access token expires three times.
func (s *story) work(want, cookie string, tabs ...*browser) {
	s.t.Helper()
	start := len(s.seen(cookie))
	for end := time.Now().Add(time.Minute); len(s.seen(cookie)) < start+3; time.Sleep(100 * time.Millisecond) { // as people work
		for _, tab := range tabs {
			if got := run[string](tab, `return work()`); got != want {
				s.t.Fatalf("somebody at work gets %s", got)
			}
		}
		if time.Now().After(end) {
			s.t.Fatalf("no three new access tokens in %s in a minute", cookie)
		}
	}
}

// actAs has somebody who is new here get a link, and open it.
func (s *story) actAs(carol *browser) {
	s.t.Helper()
	carol.visit(s.tool.URL + "/act?user=alice")
	carol.signIn("carol")
	s.follow(carol, "Sign in to open this link")
	s.look(carol)
	picture(s.t, carol, "link-sign-in")
	carol.press(kb.Tab)
	carol.press(kb.Enter)
	carol.consent() // of the site: who they are is known
	s.open(carol)
}

// follow follows a link of the tool's to our page.
func (s *story) follow(carol *browser, heading string) {
	s.t.Helper()
	carol.until("a link for alice")
	run[bool](carol, `setTimeout(() => document.querySelector("a").click(), 0); return true`)
	carol.until(heading)
}

// open goes on from our page, and so opens the session.
func (s *story) open(carol *browser) {
	s.t.Helper()
	carol.until("Act as alice?")
	picture(s.t, carol, "link")
	carol.press(kb.Tab)
	carol.press(kb.Enter)
	carol.until("/orders?id=1 is alice by carol")
	s.look(carol)
}

// isEnded has somebody act as a user again, with streams, which an officer ends from another browser.
func (s *story) isEnded(carol *browser) {
	s.t.Helper()
	carol.visit(s.tool.URL + "/act?user=alice")
	s.follow(carol, "Act as alice?")
	s.open(carol)
	run[bool](carol, `return follow()`)
	officer := s.somebody()
	officer.visit(s.at(consoleName) + "/acting")
	officer.signIn("olivia")
	officer.until("ticket 4711")
	picture(s.t, officer, "console")
	clicked := time.Now().UnixMilli()
	run[bool](officer, `setTimeout(() => document.querySelector('form[action="/acting/end"] button').click(), 0); return true`)
	s.t.Logf("streams ended %d ms after the officer's click", carol.overSoon()-clicked)
	officer.until("One session was revoked")
	s.look(officer)
	carol.visit(s.URL + "/orders")
	carol.until("No longer acting as another user")
	picture(s.t, carol, "impersonation-over")
	carol.visit(s.URL + "/orders")
	carol.until("/orders is carol")
}

// overSoon waits until the streams of a page are over, and returns when the last of them was, in ms.
func (b *browser) overSoon() (at int64) {
	b.t.Helper()
	return run[int64](b, `while (!over.events || !over.socket) await new Promise((resolve) => setTimeout(resolve, 10)); return Math.max(over.events, over.socket)`)
}

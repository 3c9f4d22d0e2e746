package interop

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// Where people act as others on a host of their own, what the app keeps in the browser for the two
// people never mixes, and their own session on the other host is as it was.
func TestStory_PeopleActAsOthersOnAHostOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newStory(t, nil, "impersonate_on AS")
	carol := s.first
	carol.visit(s.URL + "/orders")
	carol.signIn("carol")
	carol.until("/orders is carol")
	run[string](carol, `localStorage.mine = "carol"; return work()`)

	acting := s.another(carol)
	acting.visit(s.tool.URL + "/act?user=alice")
	acting.consent()
	s.follow(acting, "Sign in to open this link")
	acting.press(kb.Tab)
	acting.press(kb.Enter) // the provider knows who they are, and the site who may know it
	s.open(acting)
	if got := run[string](acting, `return location.origin + " " + (localStorage.mine ?? "nothing")`); got != s.at(asName)+" nothing" {
		t.Errorf("they act at %s", got)
	}
	s.work("200 /work is alice by carol", cookieAs, acting)
	s.work("200 /work is carol", cookieOwn, carol)
	acting.submit("") // stop
	acting.until("/home is carol")
	if got := run[string](carol, `return await work() + " " + localStorage.mine`); got != "200 /work is carol carol" {
		t.Errorf("on the first host: %s", got)
	}
	s.search()
}

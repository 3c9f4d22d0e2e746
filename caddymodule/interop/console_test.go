package interop

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// A consoleSite is a site with a console.
type consoleSite struct {
	*scene

	provider *signintest.Provider
	origin   string
}

func newConsoleSite(t *testing.T) *consoleSite {
	t.Helper()
	c := &consoleSite{scene: &scene{Sidecar: sidecartest.New(t), t: t}, provider: signintest.NewProvider(t, "site")}
	c.origin = "http://sessions.localhost:" + sidecartest.PortOf(c.URL)
	c.StartSignIn(sidecartest.SignInSite{
		Provider: c.provider.URL, App: sidecartest.Echo(t), Trust: "insecure_http",
		Block:   "allow claim roles support\nmanage claim roles security\nimpersonation {\nrequire_reason\n}\naudit file DIR/audit.jsonl",
		Browser: "console " + c.origin,
	})
	return c
}

// as opens a browser at the console, in which somebody is signed in.
func (c *consoleSite) as(name string, roles ...string) *linkSite {
	c.t.Helper()
	l := c.inBrowser()
	c.provider.Change(func() { c.provider.Claims = signintest.Object{"sub": name, "roles": roles} })
	l.visit(c.origin + "/")
	l.until("Where you are signed in")
	return l
}

// started has somebody act as users, by API.
func (c *consoleSite) started(by string, reasons map[string]string) {
	c.t.Helper()
	token := c.provider.AccessToken(c.URL+"/auth/sessions", by, `,"roles":["support"]`)
	for user, reason := range reasons {
		got := c.Create(token, fmt.Sprintf(`{"user_id":%q,"reason":%q}`, user, reason))
		sidecartest.WantStatus(c.t, got, http.StatusOK)
	}
}

// looks checks a page: nobody is kept out, nothing is refused or fails, in a large window and on a
// phone, where it does not scroll sideways.
func (l *linkSite) looks(t *testing.T, name string) {
	t.Helper()
	accessible(t, l.browser, name)
	picture(t, l.browser, name)
	call(l.browser, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 740, DeviceScaleFactor: 1, Mobile: true})
	if run[bool](l.browser, `return document.documentElement.scrollWidth > innerWidth`) {
		t.Errorf("%s scrolls sideways on a phone", name)
	}
	accessible(t, l.browser, name+" on a phone")
	picture(t, l.browser, name+"-phone")
	call(l.browser, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
	l.quiet()
}

// docs writes a picture of a page for the documentation.
func (l *linkSite) docs(name string) {
	l.scene.t.Helper()
	call(l.browser, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}})
	call(l.browser, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 960, Height: 480, DeviceScaleFactor: 1})
	l.shot(name)
	call(l.browser, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
}

// tabTo presses Tab until what says so has the focus.
func (l *linkSite) tabTo(text string) {
	l.scene.t.Helper()
	for range 60 {
		l.press("\t")
		if run[bool](l.browser, `const at = document.activeElement; return (at.getAttribute("aria-label") || at.textContent || "").trim() === `+quote(text)+` || at.id === `+quote(text)) {
			return
		}
	}
	l.scene.t.Fatalf("the keyboard does not get to %q", text)
}

// A support person starts an impersonation by keyboard alone, an officer finds and ends it, and a user
// without rights sees nothing of either.
func TestConsole_IsAStoryInABrowser(t *testing.T) {
	t.Parallel()
	c := newConsoleSite(t)
	c.started("erin", map[string]string{"bob": "ticket 4712: an order is missing", "carol": "ticket 4715", "dave": "chargeback 99"})

	alice := c.as("alice")
	c.as("alice")
	alice.visit(c.origin + "/")
	alice.until("this console")
	alice.looks(t, "console-own")
	if text := run[string](alice.browser, `return document.body.innerText`); strings.Contains(text, "Act as") || strings.Contains(text, "History") {
		t.Errorf("somebody without rights sees %s", text)
	}
	alice.visit(c.origin + "/acting")
	alice.until("Not with this account")
	accessible(t, alice.browser, "no rights")
	alice.visit(c.origin + "/")
	alice.tabTo("Revoke all others")
	alice.press("\r")
	alice.until("One session was revoked.")

	desk := c.as("desk", "support")
	desk.tabTo("Act as a user")
	desk.press("\r")
	desk.until("You get a link")
	desk.looks(t, "console-act")
	desk.tabTo("user")
	desk.press("alice")
	desk.tabTo("reason")
	desk.press("ticket 4711: cannot pay")
	desk.tabTo("Make a link")
	desk.press("\r")
	desk.until("Act as alice")
	desk.looks(t, "console-link")
	link := run[string](desk.browser, `return document.getElementById("link").value`)
	if !strings.HasPrefix(link, c.URL+"/auth/sessions/open#") {
		t.Errorf("the link is %s", link)
	}
	desk.visit(link)
	desk.until("Sign in to open this link")
	desk.press("\t")
	desk.press("\r")
	desk.until("Act as alice?")
	desk.press("\t")
	desk.press("\r")
	desk.until("X-Auth-Actor: desk")

	boss := c.as("boss", "security")
	boss.follow("Who acts as whom")
	boss.until("ticket 4711")
	boss.looks(t, "console-acting")
	boss.docs("console-acting")
	boss.visit(c.origin + "/acting?actor=erin")
	boss.until("chargeback")
	boss.follow("Revoke all of these…")
	boss.until("3 sessions would be revoked.")
	boss.looks(t, "console-preview")
	boss.follow("Revoke them")
	boss.until("3 sessions were revoked.")
	boss.visit(c.origin + "/acting?user=alice")
	boss.until("ticket 4711")
	boss.tabTo("Revoke the session of desk as alice")
	boss.press("\r")
	boss.until("One session was revoked.")
	desk.visit(c.URL + "/orders")
	desk.until("over")
	boss.follow("History")
	boss.until("by the console")
	boss.looks(t, "console-history")
	boss.docs("console-history")
	boss.visit(c.origin + "/nothing")
	boss.until("There is no such page")
}

// Reading and ending take no script.
func TestConsole_WorksWithoutScripts(t *testing.T) {
	t.Parallel()
	c := newConsoleSite(t)
	c.started("erin", map[string]string{"bob": "ticket 4712"})
	boss := c.as("boss", "security")
	call(boss.browser, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	boss.visit(c.origin + "/acting")
	boss.tabTo("Revoke the session of erin as bob")
	boss.press("\r")
	boss.until("One session was revoked.")
	boss.visit(c.origin + "/history")
	boss.until("revoked")
}

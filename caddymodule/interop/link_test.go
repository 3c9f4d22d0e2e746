package interop

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// A linkSite is a site whose issuer is where it is served, so that a browser follows its links.
type linkSite struct {
	*scene
	*browser
	mu       sync.Mutex
	messages []string // of the console
}

func newLinkSite(t *testing.T) *linkSite {
	t.Helper()
	s := &scene{Sidecar: sidecartest.New(t), t: t, idp: sidecartest.NewIDP(t, "https://idp.example.com")}
	site := s.idp.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity\n\t\tbrowser\n")
	s.Start(strings.Replace(site, "issuer "+sidecartest.Issuer, "issuer "+s.URL, 1))
	s.alice = s.idp.Token("alice", nil)
	s.desk = s.idp.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	return s.inBrowser()
}

// startSignIn starts a site whose people sign in at a provider of its own: as carol, who may
// impersonate by API. words are more of browser.
func (s *scene) startSignIn(words string) *signintest.Provider {
	s.t.Helper()
	provider := signintest.NewProvider(s.t, "site")
	provider.Change(func() { provider.Claims = signintest.Object{"sub": "carol"} })
	s.StartSignIn(sidecartest.SignInSite{
		Provider: provider.URL, App: sidecartest.Echo(s.t), Trust: "insecure_http", Block: "allow scope sessions:impersonate from " + provider.URL, Browser: words,
	})
	s.desk = provider.AccessToken(s.URL+"/auth/sessions", "carol", "")
	return provider
}

// inBrowser opens a browser for the site.
func (s *scene) inBrowser() *linkSite {
	s.t.Helper()
	l := &linkSite{scene: s, browser: newBrowser(s.t)}
	if err := chromedp.Listen(l.ctx, l.hear); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// hear keeps what the console says.
func (l *linkSite) hear(event any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		l.messages = append(l.messages, fmt.Sprint("console ", e.Type))
	case *runtime.EventExceptionThrown:
		l.messages = append(l.messages, "exception "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		l.messages = append(l.messages, e.Entry.Text)
	}
}

// quiet fails if the console said anything.
func (l *linkSite) quiet() {
	l.scene.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.messages) > 0 {
		l.scene.t.Errorf("the console says %q", l.messages)
	}
	l.messages = nil
}

// link makes a link of carol's to act as a user.
func (l *linkSite) link(user string) (link, code string) {
	l.scene.t.Helper()
	body, _ := json.Marshal(map[string]any{"user_id": user, "reason": "ticket <b>4711</b>", "deliver": "link", "return_to": "/orders?id=1"})
	got := l.Create(l.desk, string(body))
	sidecartest.WantStatus(l.scene.t, got, 200)
	link = got.Text("link")
	_, code, _ = strings.Cut(link, "#")
	return link, code
}

// A person follows a link, sees who would act as whom, and opens it with the keyboard. The code is
// nowhere in the browser by then.
func TestLink_APersonOpensItInABrowser(t *testing.T) {
	t.Parallel()
	l := newLinkSite(t)
	user := "alice <img src=x onerror=alert(1)>"
	link, code := l.link(user)
	l.visit(link)
	l.until("Act as " + user + "?")
	seen := run[[]string](l.browser, `return [location.href, document.title, document.body.innerText, JSON.stringify(sessionStorage) + JSON.stringify(localStorage) + document.cookie,
		document.querySelectorAll("img, b").length + "", document.referrer, document.activeElement.tagName]`)
	if seen[0] != l.URL+"/auth/sessions/open" || seen[1] != "Act as "+user+"?" {
		t.Errorf("at %s: %s", seen[0], seen[1])
	}
	for _, part := range []string{"carol", "https://idp.example.com", "ticket <b>4711</b>"} {
		if !strings.Contains(seen[2], part) {
			t.Errorf("the page does not say %s: %s", part, seen[2])
		}
	}
	if strings.Contains(seen[3], code) || seen[4] != "0" || seen[6] != "H1" {
		t.Errorf("in the browser: %q", seen[3:])
	}
	l.quiet()

	l.press("\t")
	l.press("\r")
	l.until("GET /orders?id=1")
	got := run[string](l.browser, `return location.href + document.cookie + document.body.innerText + history.length`)
	if !strings.Contains(got, "X-Auth-Actor: carol") || strings.Contains(got, code) || strings.Contains(got, "#") {
		t.Errorf("after it: %s", got)
	}
	l.visit(link)
	l.until("not valid, or no longer")
	picture(t, l.browser, "link-over")
	l.visit(l.URL + "/auth/sessions/open")
	l.until("nothing to open")
	picture(t, l.browser, "link-none")
}

// Another link in the same tab is another one, and what a link cannot do the page says.
func TestLink_ThePageSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	l := newLinkSite(t)
	first, _ := l.link("alice")
	second, _ := l.link("bob")
	l.visit(first)
	l.until("Act as alice?")
	run[bool](l.browser, `location.hash = `+quote(strings.SplitAfter(second, "#")[1])+`; return true`)
	l.until("Act as bob?")
	l.quiet()

	call(l.browser, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	l.visit("about:blank")
	l.visit(first)
	if text := run[string](l.browser, `return document.body.innerText`); !strings.Contains(text, "needs JavaScript") || strings.Contains(text, "Continue") {
		t.Errorf("without scripts: %s", text)
	}
	picture(t, l.browser, "link-without-scripts")
	call(l.browser, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
	l.visit("about:blank")
	l.visit(first)
	l.until("Act as alice?")
}

// The page leads whoever is not signed in through the sign-in, and back to the same link.
func TestLink_ThePageLeadsThroughTheSignIn(t *testing.T) {
	t.Parallel()
	s := &scene{Sidecar: sidecartest.New(t), t: t}
	s.startSignIn("")
	l := s.inBrowser()
	link, code := l.link("alice")
	l.visit(link)
	l.until("Sign in to open this link")
	l.press("\t")
	l.press("\r")
	l.until("Act as alice?")
	if got := run[string](l.browser, `return location.href + JSON.stringify(sessionStorage)`); got != l.URL+"/auth/sessions/open{}" {
		t.Errorf("back at %s", got)
	}
	l.press("\t")
	l.press("\r")
	l.until("GET /orders?id=1")
	got := run[string](l.browser, `return location.href + document.cookie + JSON.stringify(sessionStorage) + document.body.innerText`)
	if !strings.Contains(got, "X-Auth-Actor: carol") || strings.Contains(got, code) {
		t.Errorf("after it: %s", got)
	}
}

// On a host of its own an impersonation ends where a script of its user ends it: neither the session
// by which its actor opened the link, nor a sign-in that the script begins, makes it theirs.
func TestLink_AScriptOfTheUserDoesNotReachWhoActsAsThem(t *testing.T) {
	t.Parallel()
	s := &scene{Sidecar: sidecartest.New(t), t: t}
	there := "http://localhost:" + sidecartest.PortOf(s.URL)
	s.startSignIn("impersonate_on " + there)
	l := s.inBrowser()
	link, _ := l.link("alice")
	if !strings.HasPrefix(link, there+"/") {
		t.Fatalf("the link is %s", link)
	}
	l.visit(link)
	l.until("Sign in to open this link")
	l.press("\t")
	l.press("\r")
	l.until("Act as alice?")
	l.press("\t")
	l.press("\r")
	l.until("GET /orders?id=1")
	got := run[string](l.browser, `
		const ask = async () => (await fetch("/whoami")).text();
		const acting = await ask();
		await fetch("/auth/sessions/close", {method: "POST"});
		return acting + "ENDED" + await ask() + (await fetch("/auth/sessions/current")).status`)
	acting, after, _ := strings.Cut(got, "ENDED")
	if !strings.Contains(acting, "X-Auth-Actor: carol") || strings.Contains(after, "X-Auth-User") || !strings.HasSuffix(after, "401") {
		t.Errorf("while acting: %s\nafter it: %s", acting, after)
	}
	run[bool](l.browser, `location.assign("/auth/sessions/sign-in?return_to=%2Forders"); return true`)
	l.until("X-Auth-User: carol")
	if at := run[string](l.browser, `return location.href`); at != l.URL+"/orders" {
		t.Errorf("signed in at %s", at)
	}
}

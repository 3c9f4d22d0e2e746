package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A barSite is an app with the bar, in a browser in which carol acts as somebody.
type barSite struct {
	*linkSite
	mu      sync.Mutex
	reports []string // of what policies of the app blocked
}

// barPage is a page of the app. Its style is of the kind that would get at a bar that is a part of it.
const barPage = `<!doctype html><html lang="%s" dir="%s"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Orders</title><link rel="stylesheet" href="/app.css">
<main><h1>Orders of the day</h1><p>Everything that this app shows to its user.</p><p><a href="/two">the next page</a></p>
<table><tr><th scope="col">Order</th><th scope="col">Sum</th></tr><tr><td>4711</td><td>120.00</td></tr><tr><td>4712</td><td>12.50</td></tr></table></main></html>`

const barStyle = `:root { color-scheme: light dark; background: #fff; color: #111 } body { font: 16px/1.5 Georgia, serif; margin: 0; padding: 2rem; max-width: 60rem }
* { letter-spacing: .01em } body > * { opacity: .99 } button, form, auth-sessions-bar { display: none !important }
table { border-collapse: collapse } td, th { padding: .25rem 1rem; border-bottom: 1px solid #888; text-align: start } @media (prefers-color-scheme: dark) { :root { background: #16181b; color: #eee } a { color: #9cf } }`

func (s *barSite) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/app.css":
		w.Header().Set("Content-Type", "text/css")
		_, _ = io.WriteString(w, barStyle)
		return
	case "/report":
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reports = append(s.reports, string(body))
		return
	}
	lang, dir := "en", "ltr"
	if r.URL.Query().Has("rtl") {
		lang, dir = "ar", "rtl"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", r.URL.Query().Get("policy")+"; report-uri /report")
	fmt.Fprintf(w, barPage, lang, dir)
	if extra := r.URL.Query().Get("extra"); extra != "" {
		_, _ = io.WriteString(w, extra)
	}
}

// strict is the strictest policy with which an app can have the bar.
const strict = "default-src 'none'; script-src 'nonce-r4nd0m' 'strict-dynamic'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// newBarSite has carol act as a user, and opens the app. The shadow of the bar is opened, for the
// tests to look into it; nothing of the page can.
func newBarSite(t *testing.T, user string) *barSite {
	t.Helper()
	b := new(barSite)
	s := &scene{Sidecar: sidecartest.New(t), t: t, idp: sidecartest.NewIDP(t, "https://idp.example.com")}
	app := sidecartest.Serve(t, b.serve)
	site := s.idp.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity\n\t\tbrowser {\n\t\t\tbanner\n\t\t}\n")
	s.Start(strings.Replace(site, "issuer "+sidecartest.Issuer, "issuer "+s.URL, 1))
	s.desk = s.idp.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	b.linkSite = s.inBrowser()
	call(b.browser, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const attach = Element.prototype.attachShadow;
		Element.prototype.attachShadow = function (init) {
			window.asked = init.mode;
			return attach.call(this, { ...init, mode: "open" });
		};`})
	b.act(user)
	return b
}

// act has carol act as a user.
func (b *barSite) act(user string) {
	b.scene.t.Helper()
	link, _ := b.link(user)
	b.visit("about:blank")
	b.visit(link)
	b.until("Act as " + user + "?")
	b.press("\t")
	b.press("\r")
	b.wait(`location.pathname === "/orders"`)
}

// open opens a page of the app, with a policy, and waits for the bar.
func (b *barSite) open(query string) {
	b.scene.t.Helper()
	b.visit(b.URL + "/orders?" + query)
	b.wait(`bar().querySelector("[role=timer]").textContent.includes("left")`)
}

// bar is the shadow of the bar, to the scripts of these tests.
const bar = `const bar = () => document.querySelector("auth-sessions-bar").shadowRoot; const at = () => bar().activeElement?.className;`

// wait waits until a condition holds, on whatever page the tab is by then.
func (b *barSite) wait(condition string) {
	b.scene.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("(() => {"+bar+" try { return "+condition+" } catch { return false } })()")); err == nil && holds {
			return
		}
	}
	b.scene.t.Fatalf("waiting for %s at %s", condition, run[string](b.browser, "return location.href + document.documentElement.outerHTML"))
}

// is fails unless a condition holds now.
func (b *barSite) is(condition string) {
	b.scene.t.Helper()
	if !run[bool](b.browser, bar+"return !!("+condition+")") {
		b.scene.t.Errorf("it is not so: %s", condition)
	}
}

// still fails if the console said anything, or a policy blocked anything.
func (b *barSite) still() {
	b.scene.t.Helper()
	b.quiet()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) > 0 {
		b.scene.t.Errorf("the app got the reports %q", b.reports)
	}
}

func query(policy string) string {
	return "policy=" + strings.NewReplacer(";", "%3B", " ", "+").Replace(policy)
}

// A person acts as somebody, sees it on each page whatever the policy of the app, moves the bar by
// the keyboard, and stops by it.
func TestBanner_APersonSeesWhoTheyAreAndStops(t *testing.T) {
	t.Parallel()
	b := newBarSite(t, "alice")
	for _, policy := range []string{"default-src 'self'", strict} {
		b.open(query(policy))
		b.is(`window.asked === "closed"`)
		b.is(`[...bar().querySelectorAll(".said p")].map((p) => p.textContent).join("|") === "Acting as alice|by carol · Reason: ticket <b>4711</b>"`)
		b.is(`getComputedStyle(bar().querySelector(".stop")).display !== "none" && bar().querySelectorAll("b, img").length === 0`)
		before := run[string](b.browser, bar+`return bar().querySelector("[role=timer]").textContent`)
		b.wait(`bar().querySelector("[role=timer]").textContent !== ` + quote(before))
	}
	picture(t, b.browser, "bar")
	accessible(t, b.browser, "the bar")

	run[bool](b.browser, bar+`bar().querySelector("button.flip").focus(); return true`)
	b.press("\r")
	b.is(`bar().querySelector(".all").classList.contains("top") && bar().querySelector(".panel").getBoundingClientRect().top < 20`)
	b.press("\x1b") // Escape
	b.is(`at() === "tab" && bar().querySelector(".panel").offsetParent === null && bar().querySelector(".tab").innerText.includes("Acting as alice")`)
	accessible(t, b.browser, "the tab of the bar")
	picture(t, b.browser, "bar-aside")
	b.open(query(strict)) // the next page has it there
	b.is(`bar().querySelector(".all").className === "all top aside"`)
	run[bool](b.browser, bar+`bar().querySelector(".tab").focus(); return true`)
	b.press("\r")
	b.is(`bar().querySelector(".all").className === "all top" && at().includes("off")`)
	b.press("\t")
	b.is(`at() === "stop"`)
	b.still()
	b.press("\r")
	b.wait(`location.pathname === "/" && !document.querySelector("auth-sessions-bar, script")`)
}

// Ended elsewhere, it says so at once, and leads away.
func TestBanner_ItEndsElsewhere(t *testing.T) {
	t.Parallel()
	b := newBarSite(t, "alice")
	b.open(query(strict))
	// The page leads away when it was looked at, which takes longer than people need.
	run[bool](b.browser, `const submit = HTMLFormElement.prototype.submit;
		HTMLFormElement.prototype.submit = function () { window.leads = () => submit.call(this); }; return true`)
	before := time.Now()
	b.MustSessions("revoke", "--yes", "--user", "alice")
	revoked := time.Since(before)
	b.wait(`bar().querySelector("dialog[open] h2").textContent === "This impersonation has ended"`)
	t.Logf("the command took %s, and the page said it %s after that", revoked, time.Since(before)-revoked)
	picture(t, b.browser, "bar-ended")
	accessible(t, b.browser, "the bar at the end")
	b.press("\x1b")
	b.wait(`bar().querySelector("dialog[open]") !== null`) // it is closed by nobody, or opens again
	b.still()
	b.wait(`typeof window.leads === "function"`)
	run[bool](b.browser, `setTimeout(window.leads, 0); return true`)
	b.wait(`location.pathname === "/" && !document.querySelector("auth-sessions-bar, script")`)
}

// The app may replace its page, as libraries do that load the next one by script, and may include
// the script itself: there is one bar, and it stays.
func TestBanner_ThereIsOneAndItStays(t *testing.T) {
	t.Parallel()
	b := newBarSite(t, "alice")
	b.open(query("default-src 'self'") + "&extra=" + url.QueryEscape(`<script src="/auth/sessions/banner.js"></script>`))
	const one = `document.querySelectorAll("auth-sessions-bar").length === 1`
	b.is(`document.scripts.length === 2 && ` + one)
	for _, replace := range []string{`document.body.replaceWith(document.createElement("body"))`, `document.body.textContent = ""`} {
		run[bool](b.browser, replace+"; return true")
		b.wait(one)
		b.wait(`bar().querySelector(".user").textContent === "alice"`)
	}
	b.still()
}

// A page that shows one user is not taken for that of another, who is acted as in another tab by now.
func TestBanner_AnotherSessionInAnotherTab(t *testing.T) {
	t.Parallel()
	b := newBarSite(t, "alice")
	b.open(query(strict))
	first := b.linkSite.browser
	b.linkSite.browser = first.tab()
	b.act("bob")
	b.linkSite.browser = first
	b.wait(`bar().querySelector("dialog[open] h2").textContent === "Another session has started"`)
	b.press("\t")
	b.press("\r")
	b.wait(`bar().querySelector(".user").textContent === "bob"`)
}

// Names are text, whatever they are, and fit on every screen.
func TestBanner_AnyNameOnAnyScreen(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]string{
		"markup": `<img src=x onerror=alert(1)>`, "long": strings.Repeat("user@example.com", 16)[:255],
	} {
		b := newBarSite(t, user)
		for view, s := range map[string]struct {
			width, height int64
			query, media  string
		}{
			"wide": {1280, 800, "", ""}, "phone": {360, 740, "", ""}, "zoomed": {320, 256, "", ""}, // 400 % of 1280 x 1024
			"rtl": {1280, 800, "rtl=1&", ""}, "rtl-phone": {360, 740, "rtl=1&", ""}, "forced": {1280, 800, "", "active"},
		} {
			call(b.browser, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1})
			features := []*emulation.MediaFeature{{Name: "forced-colors", Value: s.media}}
			call(b.browser, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			b.open(s.query + query(strict))
			b.is(`bar().querySelector(".user").textContent === ` + quote(user))
			b.is(`bar().querySelectorAll("img").length === 0`)
			b.is(`document.documentElement.scrollWidth <= innerWidth`)
			b.is(`[".panel", ".user"].every((of) => { const r = bar().querySelector(of).getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth && r.width > 0 })`)
			b.is(`(() => { const p = bar().querySelector(".panel"); p.querySelector(".stop").scrollIntoView({ block: "nearest" }); const r = p.querySelector(".stop").getBoundingClientRect(); return r.bottom <= innerHeight && r.height >= 24 && document.elementFromPoint(r.x + 5, r.y + 5).localName === "auth-sessions-bar" })()`)
			accessible(t, b.browser, name+", "+view)
			picture(t, b.browser, "bar-"+name+"-"+view, features...)
		}
		b.still()
	}
}

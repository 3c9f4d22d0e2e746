package interop

import (
	"bufio"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
)

var updatePictures = flag.Bool("update-pictures", false, "write the pictures of the example into docs")

// A demo is Caddyfile.example beside the provider without passwords, as xcaddy.sh runs them.
type demo struct {
	*sidecartest.Sidecar
	t testing.TB
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	s := sidecartest.New(t)
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	file := s.Write("Caddyfile.example", string(text))
	if err := os.Mkdir(filepath.Join(s.Dir, ".example"), 0o700); err != nil {
		t.Fatal(err)
	}
	d := &demo{s, t}
	d.say("keygen", "--output", ".example/idp.jwk", "--jwks", ".example/idp.jwks.json")
	idp := s.Command("auth-sessions", "demo-idp", "--listen", "127.0.0.1:0", "--site", s.URL+"/auth/sessions", "--site", strings.Replace(s.URL, "127.0.0.1", "localhost", 1)+"/auth/sessions")
	out, err := idp.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	caddy := s.Command("run", "--config", file, "--adapter", "caddyfile")
	if err := idp.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = idp.Process.Kill(); _ = idp.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	issuer, _, _ := strings.Cut(line, " ")
	caddy.Env = append(caddy.Env, "EXAMPLE_PORT="+sidecartest.PortOf(s.URL), "EXAMPLE_APP_PORT="+sidecartest.Port(t),
		"EXAMPLE_ADMIN_PORT="+sidecartest.PortOf(s.Admin), "EXAMPLE_IDP_PORT="+sidecartest.PortOf(issuer))
	s.StartCommand(caddy)
	return d
}

// say returns what a command prints.
func (d *demo) say(args ...string) string {
	d.t.Helper()
	got := d.Sessions("", args...)
	if !got.OK {
		d.t.Fatalf("%v: %s", args, got.Err)
	}
	return strings.TrimSpace(got.Out)
}

// follow presses the button or follows the link that says so.
func (b *browser) follow(text string) {
	b.t.Helper()
	run[bool](b, `const at = [...document.querySelectorAll("a, button")].find((x) => x.checkVisibility() && x.textContent.trim() === `+quote(text)+`);
		if (!at) throw new Error("nothing says " + `+quote(text)+` + " in " + document.body.innerText);
		setTimeout(() => at.click(), 0); return true`)
}

// shot writes a picture for the documentation.
func (b *browser) shot(name string) {
	b.t.Helper()
	if !*updatePictures {
		return
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}})
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile("../docs/"+name+".png", data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// as signs in, at the host of the app or at the console, as whom the provider offers.
func (b *browser) as(url, name string) {
	b.t.Helper()
	b.visit(url + "/auth/sessions/sign-in")
	b.until("Who are you?")
	b.follow(name)
}

// Somebody who has just started the example signs in, acts as somebody else by the console, is
// refused what is not theirs to do, and stops. Then an officer ends it.
func TestDemo_IsAStoryInABrowser(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	console := strings.Replace(d.URL, "127.0.0.1", "localhost", 1)
	b := newBrowser(t, chromedp.WindowSize(720, 640))
	b.visit(d.URL + "/")
	b.until("Nobody is signed in")
	b.follow("Sign in")
	b.until("Who are you?")
	picture(t, b, "demo-idp")
	b.follow("support")
	b.until("You are support")
	b.follow("Billing")
	b.until("/billing")
	act := func() {
		t.Helper()
		b.visit(console + "/act")
		b.until("Act as a user")
		run[bool](b, `document.querySelector("[name=user]").value = "alice"; document.querySelector("[name=reason]").value = "ticket 4711"; return true`)
		b.follow("Make a link")
		b.until("Act as alice")
		b.visit(run[string](b, `return document.querySelector("#link").value`))
		b.until("Act as alice?")
	}
	b.as(console, "support")
	b.until("Where you are signed in")
	act()
	b.shot("demo-link")
	picture(t, b, "demo-link")
	b.follow("Continue")
	b.until("You act as alice, and are support")
	b.shot("demo-acting")
	picture(t, b, "demo-acting")
	b.follow("Billing")
	b.until("Not while acting as another user")
	picture(t, b, "demo-billing")
	b.visit(d.URL + "/")
	b.follow("Stop")
	b.until("You are support")
	act()
	b.follow("Continue")
	b.until("You act as alice")

	officer := newBrowser(t, chromedp.WindowSize(900, 480))
	officer.as(console, "officer")
	officer.until("Where you are signed in")
	officer.follow("Who acts as whom")
	officer.until("ticket 4711")
	picture(t, officer, "demo-console")
	officer.follow("Revoke")
	officer.until("One session was revoked.")
	// The bar notices, and leads away.
	b.until("You are support")
	b.follow("Sign out")
	b.until("You are signed out")
	b.visit(d.URL + "/")
	b.until("Nobody is signed in")
}

package interop

import (
	"bufio"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	idp := s.Command("auth-sessions", "demo-idp", "--listen", "127.0.0.1:0", "--site", s.URL+"/auth/sessions")
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

// link has a session for alice handed over by the support desk, as the README does it.
func (d *demo) link() string {
	d.t.Helper()
	desk := d.say("token", "--key", ".example/idp.jwk", "--issuer", "https://idp.example.com",
		"--audience", d.URL+"/auth/sessions", "--sub", "support-desk", "--scope", "sessions:impersonate")
	got, err := d.TryCreate(desk, `{"user_id":"alice","reason":"ticket 4711","deliver":"link"}`)
	if err != nil {
		d.t.Fatal(err)
	}
	sidecartest.WantStatus(d.t, got, http.StatusOK)
	var answer struct{ Link string }
	if err := json.Unmarshal([]byte(got.Body), &answer); err != nil {
		d.t.Fatal(err)
	}
	return answer.Link
}

// press presses the button or follows the link that says so.
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
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile("../docs/"+name+".png", data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// Somebody who has just started the example signs in, acts as somebody else, is refused what is not
// theirs to do, stops, and is themselves again.
func TestDemo_IsAStoryInABrowser(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	b := newBrowser(t, chromedp.WindowSize(720, 480))
	b.visit(d.URL + "/")
	b.until("Nobody is signed in")
	b.follow("Sign in")
	b.until("Who are you?")
	picture(t, b, "demo-idp")
	b.follow("support")
	b.until("You are support")
	b.follow("Billing")
	b.until("/billing")
	b.visit(d.link())
	b.until("Act as alice?")
	b.shot("demo-link")
	picture(t, b, "demo-link")
	b.follow("Continue")
	b.until("You act as alice, and are support-desk")
	b.shot("demo-acting")
	picture(t, b, "demo-acting")
	b.follow("Billing")
	b.until("Not while acting as another user")
	picture(t, b, "demo-billing")
	b.visit(d.URL + "/")
	b.follow("Stop")
	b.until("You are support")
	b.follow("Sign out")
	b.until("You are signed out")
	b.visit(d.URL + "/")
	b.until("Nobody is signed in")
}

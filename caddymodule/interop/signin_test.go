package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// People sign in at a real provider, work in two tabs while their access token expires again and
// again, and sign out in both by signing out in one. No token is where a page can see it.
func TestSignIn_InARealBrowser(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join(foreign(), "node_modules", "oidc-provider")); err != nil {
		servertest.Missing(t, "oidc-provider", "npm ci --prefix caddymodule/docs/testdata/issuers, at the top of the repository")
	}
	s := &scene{Sidecar: sidecartest.New(t), t: t}
	cmd := exec.Command("node", filepath.Join(foreign(), "oidc-provider.mjs"))
	cmd.Env = append(os.Environ(), "SIGN_IN_SITE="+s.URL)
	provider := servertest.Printed(t, cmd)[0]
	s.Start(fmt.Sprintf(`SITE {
	auth_sessions {
		issuer %[1]s
		trust %[2]s {
			audience %[1]s/auth/sessions
		}
		allow self
		access_token {
			ttl 1s
		}
		lifecycle
		identity {
			require
		}
		browser {
			sign_in %[2]s {
				client_id public-site
			}
		}
	}
	reverse_proxy %[3]s
}
`, s.URL, provider, strings.TrimPrefix(sidecartest.Echo(t), "http://")))
	first := s.inBrowser()
	first.visit(s.URL + "/orders")
	first.until("Sign-in")
	submit := func(fill string) {
		t.Helper()
		run[bool](first.browser, fill+`; setTimeout(() => document.querySelector("form").requestSubmit(), 0); return true`)
	}
	submit(`document.querySelector("[name=login]").value = "alice"; document.querySelector("[name=password]").value = "any"`)
	first.until("Authorize")
	submit("")
	first.until("GET /orders")
	second := first.tab()
	second.visit(s.URL + "/second")
	ask := `const got = await fetch("/work"); return got.ok && (await got.text()).includes("X-Auth-User: alice")`
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) { // of three tokens and more
		if !run[bool](first.browser, ask) || !run[bool](second, ask) {
			t.Fatal("somebody is signed out while they work")
		}
	}
	if got := run[string](second, `return document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + location.href`); strings.Contains(got, "eyJ") || strings.Contains(got, "session=") {
		t.Errorf("a page sees %s", got)
	}
	run[bool](first.browser, `document.body.innerHTML = '<form method="post" action="/auth/sessions/close"></form>'; setTimeout(() => document.querySelector("form").submit(), 0); return true`)
	first.until("sign-out from")
	picture(t, first.browser, "provider")
	if !run[bool](second, `const got = await fetch("/work"); return got.status === 401`) {
		t.Error("the second tab is still signed in")
	}
	run[bool](first.browser, `setTimeout(() => document.querySelector("[name=logout]").click(), 0); return true`)
	first.until("You are signed out")
	picture(t, first.browser, "signed-out")
}

// picture keeps what a page looks like in both themes, in the folder that AUTHSIDECAR_PICTURES names.
func picture(t *testing.T, b *browser, name string) {
	t.Helper()
	dir := os.Getenv("AUTHSIDECAR_PICTURES")
	if dir == "" {
		return
	}
	for _, theme := range []string{"light", "dark"} {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
		data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-"+theme+".png"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

package interop

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// A browser is a tab of a real Chromium without a window.
type browser struct {
	t   testing.TB
	ctx context.Context
}

// newBrowser starts a Chromium, with more options.
func newBrowser(t testing.TB, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		servertest.Missing(t, "Chromium", "apt-get install -y chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))
	allocated, end := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(end)
	ctx, stop := chromedp.NewContext(allocated)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx}
	b.visit("about:blank") // and with it the browser starts
	return b
}

// tab opens another tab: of the same profile, if the options do not say otherwise.
func (b *browser) tab(more ...chromedp.ContextOption) *browser {
	b.t.Helper()
	ctx, stop := chromedp.NewContext(b.ctx, more...)
	b.t.Cleanup(stop)
	return &browser{t: b.t, ctx: ctx}
}

// visit opens a page.
func (b *browser) visit(url string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatal(err)
	}
}

// run has the page run a script, which is the body of an async function, and returns what that
// returns.
func run[T any](b *browser, script string) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[T]("(async () => {"+script+"})()", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// until waits until text is in the heading of the page, or in what the app echoes. On the way the tab
// may go from one page to another.
func (b *browser) until(text string) {
	b.t.Helper()
	const heading = `document.querySelector("section:not([hidden]) h1, pre")?.textContent ?? document.body.innerText`
	seen := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](heading)); err == nil {
			if seen = got; strings.Contains(seen, text) {
				return
			}
		}
	}
	b.t.Fatalf("waiting for %q: %s", text, seen)
}

func (b *browser) press(keys string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.KeyEvent(keys)); err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command that chromedp has no action for, and returns its result.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	var result R
	_, err := chromedp.Run(b.ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		result, err = cdp.Call(ctx, target, command, params)
		return err
	}))
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// picture keeps what a page looks like in both themes, in the folder that AUTHSIDECAR_PICTURES names.
func picture(t *testing.T, b *browser, name string, media ...*emulation.MediaFeature) {
	t.Helper()
	dir := os.Getenv("AUTHSIDECAR_PICTURES")
	if dir == "" {
		return
	}
	for _, theme := range []string{"light", "dark"} {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: append(media, &emulation.MediaFeature{Name: "prefers-color-scheme", Value: theme})})
		data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-"+theme+".png"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// quote writes a value as JavaScript has it.
func quote(value any) string {
	text, _ := json.Marshal(value) // texts and lists of them never fail
	return string(text)
}

// page serves an empty page on an origin of its own, and returns that.
func page(t testing.TB) (origin string) {
	t.Helper()
	return sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><title>an app</title>"))
	})
}

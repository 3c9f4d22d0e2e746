package caddymodule_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions"
	"authsidecar/sessions/storetest/servertest"
)

// A downSite is a site whose store may be down, beside another that has nothing to do with it.
type downSite struct {
	*sidecar
	*sidecartest.IDP
	config string
	other  string // where the other one is
}

func newDownSite(t *testing.T, store string) *downSite {
	t.Helper()
	d := &downSite{sidecar: newSidecar(t), IDP: sidecartest.NewIDP(t, "https://idp.example.com"), other: "http://127.0.0.1:" + sidecartest.Port(t)}
	d.config = d.with(sidecartest.Echo(t), store)
	return d
}

func (d *downSite) with(app, store string) string {
	return d.Site(d.Sidecar, app, sidecartest.Lifecycle+"\n\t\thealth /auth/health\n\t\tidentity\n\t\t"+store) + "http://:" + sidecartest.PortOf(d.other) + " {\n\trespond \"another site\"\n}\n"
}

// session starts the site, creates a session, stops the site, and returns the access token.
func (d *downSite) session(t *testing.T) string {
	t.Helper()
	d.Start(d.config)
	got := d.Create(d.Token("alice", nil), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, got, 200)
	d.Stop()
	return got.Text("access_token")
}

// wantDown asserts what is answered while the store is down.
func (d *downSite) wantDown(t *testing.T, access string) {
	t.Helper()
	req, err := http.NewRequest("GET", d.other, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := d.Do(req); err != nil || other.Body != "another site" {
		t.Errorf("the other site: %v %s", err, other.Body)
	}
	d.waitHealth(503)
	// Each start is like that for a moment, which is no error. Why it stays so is logged by who tries.
	d.WaitLog(`"msg":"not ready"`)
	if line := regexp.MustCompile(`.*"msg":"not ready".*`).FindString(d.Log()); !strings.Contains(line, `"level":"info"`) {
		t.Errorf("it is logged as %q", line)
	}
	for name, got := range map[string]sidecartest.Answer{
		"nobody":         d.through("GET", "/hello"),
		"an API key":     d.through("GET", "/hello", "Authorization", "Bearer sk-4711"),
		"another cookie": d.through("GET", "/hello", "Cookie", "theme=dark"),
	} {
		if got.Status != 200 || got.Header.Get("X-App") != "echo" {
			t.Errorf("%s is not forwarded: %d %s", name, got.Status, got.Body)
		}
	}
	if access != "" {
		refused := d.visit(access)
		sidecartest.WantStatus(t, refused, 503)
		sidecartest.WantHeaders(t, refused, "Retry-After", "1")
	}
	caller := d.Token("alice", nil)
	for name, got := range map[string]sidecartest.Answer{
		"create": d.Create(caller, `{"user_id":"alice"}`), "list": d.Call("GET", "", caller, ""),
		"refresh": d.Refresh(caller), "revoke": d.Call("DELETE", "?user_id=alice", caller, ""),
	} {
		if got.Status != 503 || got.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

// wantUp asserts that all works again, by itself, and what the log said.
func (d *downSite) wantUp(t *testing.T, access string) {
	t.Helper()
	d.waitHealth(200)
	if access != "" {
		sidecartest.WantStatus(t, d.visit(access), 200)
	}
	sidecartest.WantStatus(t, d.Create(d.Token("alice", nil), `{"user_id":"alice"}`), 200)
	d.WaitLog("are open now")
	if n := strings.Count(d.Log(), "cannot be opened; what needs them"); n != 1 {
		t.Errorf("the log says %d times that the store cannot be opened\n%s", n, d.Log())
	}
}

func TestStart_AServerThatIsDownTakesNoOtherSiteDown(t *testing.T) {
	t.Parallel()
	eachEngine(t, true, func(t *testing.T, e *engine) {
		d := newDownSite(t, e.store)
		access := d.session(t)
		e.stop()
		d.Start(d.config)
		d.wantDown(t, access)
		e.start()
		d.wantUp(t, access)
	})
}

// Covers S3.
func TestStart_ADiskThatIsFullTakesNoOtherSiteDown(t *testing.T) {
	t.Parallel()
	mount := servertest.Disk(t, "48m")
	d := newDownSite(t, "store pebble "+mount+"/store")
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 96<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	d.Start(d.config)
	d.wantDown(t, "")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.wantUp(t, "")
}

func TestOpening_WhatPassesByItself(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		sessions.ErrUnavailable:   true,
		context.DeadlineExceeded:  true,
		context.Canceled:          true, // of another who opened the same store
		syscall.ENOSPC:            true,
		sessions.ErrSetup:         false,
		os.ErrPermission:          false,
		errors.New("wrong words"): false,
		errors.Join(sessions.ErrSetup, sessions.ErrUnavailable): false,
	} {
		if got := caddymodule.Passes(fmt.Errorf("opening the store: %w", err)); got != want {
			t.Errorf("%v passes: %t", err, got)
		}
	}
}

// What does not pass by itself is told when Caddy starts, whatever the store.
func TestStart_WhatSomebodyHasToMendIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"redis", "postgres"} {
		t.Run(name+", a wrong password", func(t *testing.T) {
			right := engines[name](t, false).store
			d := newDownSite(t, passwordFile.ReplaceAllLiteralString(right, "{file.DIR/wrong}"))
			d.Write("wrong", "it is not")
			wantSaid(t, d.StartRefused(d.config), "session store cannot be opened like this")
		})
	}
	t.Run("pebble, a file where the directory belongs", func(t *testing.T) {
		d := newDownSite(t, "store pebble DIR/file/store")
		d.Write("file", "")
		wantSaid(t, d.StartRefused(d.config), "not a directory")
	})
}

var passwordFile = regexp.MustCompile(`\{file\.[^}]*\}`)

func wantSaid(t *testing.T, said, want string) {
	t.Helper()
	if !strings.Contains(said, want) {
		t.Errorf("%q is not in\n%s", want, said)
	}
}

// While a store is down reloads go on, none waits for it, and none leaves anything behind.
func TestReload_WhileTheStoreIsDownLeaksNothing(t *testing.T) {
	t.Parallel()
	d := newDownSite(t, "store test_switch DIR/down")
	d.Write("down", "")
	d.Start(d.config)
	reload := func(times int) {
		for range times {
			if err := d.Reload(d.config); err != nil {
				t.Fatal(err)
			}
		}
	}
	reload(3)
	before := d.goroutines()
	reload(20)
	if after := d.goroutines(); after > before+12 {
		t.Errorf("%d goroutines after 20 reloads, %d before", after, before)
	}
	d.wantDown(t, "")
	if err := os.Remove(filepath.Join(d.Dir, "down")); err != nil {
		t.Fatal(err)
	}
	d.waitHealth(200)
	sidecartest.WantStatus(t, d.Create(d.Token("alice", nil), `{"user_id":"alice"}`), 200)
	d.Stop()
	if strings.Contains(d.Log(), "panic") {
		t.Errorf("a panic:\n%s", d.Log())
	}
}

// A reload that leads to a store that is down is refused while another store serves: a slip of
// the pen takes nothing down. One that changes something else is not.
func TestReload_ToAStoreThatIsDownLeavesTheOneThatServes(t *testing.T) {
	t.Parallel()
	d := newDownSite(t, "store test_switch DIR/down")
	app := sidecartest.Echo(t)
	d.Start(d.with(app, "store test_switch DIR/one"))
	d.waitHealth(200)
	d.Write("down", "")
	if err := d.Reload(d.with(app, "store test_switch DIR/down")); err == nil || !strings.Contains(err.Error(), "switched off") {
		t.Errorf("the reload to a store that is down: %v", err)
	}
	sidecartest.WantStatus(t, d.Create(d.Token("alice", nil), `{"user_id":"alice"}`), 200)
}

// What needs the keys alone does not wait for the store.
func TestStart_KeysAndDocumentsAreServedWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	d := newDownSite(t, "store test_switch DIR/down")
	d.Write("down", "")
	d.Start(strings.Replace(d.config, "\t\tidentity\n", "\t\topenapi\n\t\tdiscovery\n\t\tidentity\n", 1))
	for path, want := range map[string]string{
		"/auth/sessions/jwks.json":                `"kid"`,
		"/auth/sessions/openapi.json":             `"openapi"`,
		"/.well-known/openid-configuration":       `"jwks_uri"`,
		"/.well-known/oauth-authorization-server": `"jwks_uri"`,
	} {
		got := d.through("GET", path)
		sidecartest.WantStatus(t, got, 200)
		wantSaid(t, got.Body, want)
	}
	d.wantDown(t, "")
	if err := os.Remove(filepath.Join(d.Dir, "down")); err != nil {
		t.Fatal(err)
	}
	d.wantUp(t, "")
}

// With accept callers a token of a trusted issuer names somebody: nobody can tell yet.
func TestStart_ATokenThatWouldNameSomebodyIs503WhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	d := newDownSite(t, "store test_switch DIR/down")
	d.Write("down", "")
	d.Start(strings.Replace(d.config, "\t\tidentity\n", "\t\tidentity {\n\t\t\taccept callers\n\t\t\tcookie sid\n\t\t}\n", 1))
	token := d.Token("alice", nil)
	got := d.through("GET", "/hello", "Authorization", "Bearer "+token)
	sidecartest.WantStatus(t, got, 503)
	sidecartest.WantHeaders(t, got, "Retry-After", "1")
	got = d.through("GET", "/hello", "Cookie", "sid="+token)
	sidecartest.WantStatus(t, got, 503)
	if got.Header.Get("Set-Cookie") != "" {
		t.Error("the cookie was expired though nobody knows that it is over")
	}
	sidecartest.WantStatus(t, d.through("GET", "/hello", "Authorization", "Bearer "+token+"x"), 200) // nobody's, and the app's affair
	if err := os.Remove(filepath.Join(d.Dir, "down")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); d.through("GET", "/hello", "Authorization", "Bearer "+token).Status != 200; {
		if time.Now().After(deadline) {
			t.Fatalf("it does not recover\n%s", d.Log())
		}
	}
}

// A reload that fails after another block of it was opened changes nothing: what serves is known
// to serve, and the next reload is judged by it.
func TestReload_AFailedOneLeavesWhatServes(t *testing.T) {
	t.Parallel()
	d := newDownSite(t, "store test_switch DIR/down")
	app := sidecartest.Echo(t)
	good := d.with(app, "store test_switch DIR/one")
	d.Write("file", "")
	second := strings.NewReplacer("SITE", "http://:"+sidecartest.Port(t), "issuer https://app.example.com", "issuer https://other.example.com").Replace(d.Site(d.Sidecar, app, "store pebble DIR/file/store"))
	d.Start(good)
	d.waitHealth(200)
	if err := d.Reload(good + second); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Fatalf("a store that is a file: %v", err)
	}
	d.Write("down", "")
	if err := d.Reload(d.with(app, "store test_switch DIR/down")); err == nil || !strings.Contains(err.Error(), "switched off") {
		t.Errorf("the reload to a store that is down: %v", err)
	}
	sidecartest.WantStatus(t, d.Create(d.Token("alice", nil), `{"user_id":"alice"}`), 200)
}

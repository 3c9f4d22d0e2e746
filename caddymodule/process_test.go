package caddymodule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// An acknowledged session survives kill -9 at any moment. The sidecar is killed
// under load again and again; a session is looked for by repeating its request
// with its idempotency key, which is answered with the very same refresh token.
func TestKill_AcknowledgedSessionsSurvive(t *testing.T) {
	t.Parallel()
	kills := 100
	if testing.Short() {
		kills = 5
	}
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	config := provider.site(s, echo(t).URL, "session {\n\t\t\tmax_per_user 0\n\t\t}")
	token := provider.token("alice", nil)
	total := 0
	for round := range kills {
		s.start(config)
		acked := loadUntilKilled(t, s, token, round)
		s.start(config)
		for key, refresh := range acked {
			got := create(t, s.url, token, `{"user_id":"alice"}`, "Idempotency-Key", key)
			if got.status != 200 || got.fields["refresh_token"] != refresh {
				t.Fatalf("round %d: session of %s is lost or another: %d %s\n%s", round, key, got.status, got.body, s.log)
			}
		}
		total += len(acked)
		s.kill()
	}
	if total < kills {
		t.Errorf("only %d sessions were acknowledged in %d rounds: nothing was tested", total, kills)
	}
	t.Logf("%d sessions acknowledged before %d kills, all found", total, kills)
}

// loadUntilKilled creates sessions from several connections and kills the
// process after a random number of answers. It returns the refresh tokens that
// were answered, by idempotency key.
func loadUntilKilled(t *testing.T, s *sidecar, token string, round int) map[string]string {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	acked := make(map[string]string)
	killAt := 1 + rand.IntN(60)
	for worker := range 8 {
		group.Go(func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d-%d-%d", round, worker, n)
				got, err := tryCreate(s.url, token, `{"user_id":"alice"}`, "Idempotency-Key", key)
				if err != nil {
					return // killed
				}
				mu.Lock()
				if got.status == 200 {
					acked[key] = got.fields["refresh_token"].(string)
				}
				enough := len(acked) >= killAt
				mu.Unlock()
				if enough {
					_ = s.cmd.Process.Signal(syscall.SIGKILL)
				}
			}
		})
	}
	group.Wait()
	<-s.done
	return acked
}

// A reload under load, also one that moves the store, answers no 500 and drops no
// acknowledged session.
func TestReload_UnderLoad(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	app := echo(t).URL
	one := provider.site(s, app, "store pebble DIR/one")
	two := provider.site(s, app, "store pebble DIR/two")
	s.start(one)
	token := provider.token("alice", nil)

	var statuses sync.Map
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for !stop.Load() {
				got, err := tryCreate(s.url, token, `{"user_id":"alice"}`)
				if err != nil {
					continue // Caddy closes idle connections on a reload: so it does without us
				}
				count, _ := statuses.LoadOrStore(got.status, new(atomic.Int64))
				count.(*atomic.Int64).Add(1)
			}
		})
	}
	for i := range 10 {
		config := one
		if i%2 == 0 {
			config = two
		}
		if err := s.reload(config); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	group.Wait()
	statuses.Range(func(status, count any) bool {
		t.Logf("status %v: %d times", status, count.(*atomic.Int64).Load())
		if status != 200 && status != 503 {
			t.Errorf("status %v under reloads", status)
		}
		return true
	})
	if _, some := statuses.Load(200); !some {
		t.Error("nothing was created")
	}
	if strings.Contains(s.log.String(), "panic") {
		t.Error("a panic in the log")
	}
}

func TestReload_LosesNoSession(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	app := echo(t).URL
	one, two := provider.site(s, app, "store pebble DIR/one"), provider.site(s, app, "store pebble DIR/two")
	token := provider.token("alice", nil)
	s.start(one)
	first := create(t, s.url, token, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	wantStatus(t, first, 200)
	for _, config := range []string{one, two, one} {
		if err := s.reload(config); err != nil {
			t.Fatal(err)
		}
	}
	again := create(t, s.url, token, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	wantStatus(t, again, 200)
	if first.fields["refresh_token"] != again.fields["refresh_token"] {
		t.Error("the session is another after reloads")
	}
}

// 100 reloads leave the number of threads' worth of goroutines and open files
// flat.
func TestReload_LeaksNothing(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	app := echo(t).URL
	configs := []string{provider.site(s, app, ""), provider.site(s, app, "store pebble DIR/other")}
	s.start(configs[0])
	token := provider.token("alice", nil)
	reload := func(times int) {
		for i := range times {
			if err := s.reload(configs[(i+1)%2]); err != nil {
				t.Fatal(err)
			}
			wantStatus(t, create(t, s.url, token, `{"user_id":"alice"}`), 200)
		}
	}
	reload(10)
	goroutines, files := s.goroutines(), s.openFiles()
	reload(100)
	// The counts breathe with connections and compactions; a leak of one a reload
	// shows as 100.
	if got := s.goroutines(); got > goroutines+30 {
		t.Errorf("%d goroutines after 100 reloads, %d before", got, goroutines)
	}
	if got := s.openFiles(); got > files+30 {
		t.Errorf("%d open files after 100 reloads, %d before", got, files)
	}
}

// goroutines asks the admin API how many goroutines the process has.
func (s *sidecar) goroutines() int {
	s.t.Helper()
	resp, err := http.Get("http://" + s.admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	var n int
	if _, err := fmt.Sscanf(string(data), "goroutine profile: total %d", &n); err != nil {
		s.t.Fatalf("%v in %.80s", err, data)
	}
	return n
}

func (s *sidecar) openFiles() int {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skip("no /proc here to count open files in")
	}
	return len(entries)
}

// Two blocks with one directory share one open store, and their realms never
// meet.
func TestRealms_ShareAStoreAndNeverMeet(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	app := echo(t).URL
	other := "http://127.0.0.1:" + freePort(t)
	config := provider.site(s, app, "store pebble DIR/shared")
	second := strings.NewReplacer("SITE", "http://:"+port(other), "issuer https://app.example.com", "issuer https://other.example.com").Replace(config)
	s.start(config + second)
	token := provider.token("alice", nil)
	first := create(t, s.url, token, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	wantStatus(t, first, 200)
	again := create(t, other, token, `{"user_id":"alice","reason":"another body"}`, "Idempotency-Key", "k")
	wantStatus(t, again, 200) // in one realm it would be 422
	if first.fields["session_id"] == again.fields["session_id"] {
		t.Error("two realms share a session")
	}
	if iss := decodePart(t, again.fields["refresh_token"].(string), 1)["iss"]; iss != "https://other.example.com" {
		t.Errorf("issuer %v", iss)
	}
}

func TestStart_RefusesAForeignDirectoryAndLeavesItAlone(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	foreign := filepath.Join(s.dir, "foreign")
	if err := os.MkdirAll(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "precious.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := s.startRefused(provider.site(s, echo(t).URL, "store pebble DIR/foreign"))
	if !strings.Contains(log, foreign) || !strings.Contains(log, "https://app.example.com") {
		t.Errorf("the error names neither the directory nor the block:\n%s", log)
	}
	entries, _ := os.ReadDir(foreign)
	if len(entries) != 1 {
		t.Errorf("the foreign directory has %v now", entries)
	}
}

// caddy validate works beside a running server, without one, and with the
// identity provider down, and leaves no file behind.
func TestValidate_TouchesNothing(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	config := provider.site(s, echo(t).URL, "")
	remote := strings.Replace(config, "jwks DIR/jwks.json", "jwks https://127.0.0.1:1/jwks.json", 1)
	discovery := strings.Replace(config, "jwks DIR/jwks.json", "", 1)
	for name, text := range map[string]string{"a key file": config, "a key set that is down": remote, "discovery that is down": discovery} {
		before := tree(t, s.dir)
		file := s.write("check.caddyfile", s.render(text))
		out, err := s.command("validate", "--config", file, "--adapter", "caddyfile").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if after := tree(t, s.dir); after != before {
			t.Errorf("%s: left behind\n%s\nwas\n%s", name, after, before)
		}
	}
	s.start(config)
	file := s.write("Caddyfile", s.render(config))
	out, err := s.command("validate", "--config", file, "--adapter", "caddyfile").CombinedOutput()
	if err != nil {
		t.Errorf("beside a running server: %v\n%s", err, out)
	}
	wantStatus(t, create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`), 200)
}

func TestH11_PlainHTTPOffTheLoopbackIsWarnedOf(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	config := provider.site(s, echo(t).URL, "")
	for issuer, warned := range map[string]bool{"https://app.example.com": false, "http://127.0.0.1:8080": false, "http://[::1]": false, "http://app.example.com": true} {
		file := s.write("check.caddyfile", s.render(strings.Replace(config, "issuer https://app.example.com", "issuer "+issuer, 1)))
		out, err := s.command("validate", "--config", file, "--adapter", "caddyfile").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", issuer, err, out)
		}
		if got := strings.Contains(string(out), "tokens travel in the clear"); got != warned {
			t.Errorf("%s: warned %v, want %v", issuer, got, warned)
		}
	}
}

// L2: what callers send cannot forge a line of the log, and every event says who,
// as whom, why and from where.
func TestL2_EventsAreWholeLines(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life))
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	for _, body := range []string{
		`{"user_id":"alice","reason":"ticket \"4711\""}`, `{"user_id":"a\n{\"level\":\"info\"}"}`, `{"user_id":"a\u001b[31m"}`,
		`{"user_id":"alice","reason":"a\r\nb"}`, `{"user_id":"alice","client_id":"a\u202eb"}`,
	} {
		create(t, s.url, desk, body, "User-Agent", "evil \u202e")
	}
	s.waitLog("session created")
	s.waitLog("text is not acceptable")
	id := ""
	for line := range strings.Lines(s.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a line that is no JSON: %q", line)
			continue
		}
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n\r\x1b\u202e") {
			t.Errorf("a line with a control: %q", line)
		}
		if entry["msg"] != "session created" {
			continue
		}
		id, _ = entry["session_id"].(string)
		for name, want := range map[string]any{
			"user_id": "alice", "actor": "carol", "actor_issuer": provider.issuer, "is_impersonation": true, "reason": `ticket "4711"`,
			"rule": "scope sessions:impersonate", "client_ip": "127.0.0.1", "client_id": "desk",
		} {
			if entry[name] != want {
				t.Errorf("%s is %v, want %v", name, entry[name], want)
			}
		}
	}
	if id == "" {
		t.Error("no event of a session that was created")
	}
	officer := provider.token("alice", nil)
	wantStatus(t, s.call("DELETE", "/"+id, officer, ""), 200)
	s.waitLog(`"by":"alice"`)
}

// tree lists the files below dir, without what Caddy itself writes when it
// validates anything.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		names = append(names, strings.TrimPrefix(path, dir))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

// J6, and the last good set over a restart: the provider may be down when the
// sidecar starts.
func TestJ6_TheProviderIsDown(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	var down atomic.Bool
	jwks := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, provider.jwks())
	})
	s := newSidecar(t, t.TempDir())
	config := strings.Replace(provider.site(s, echo(t).URL, ""), "jwks DIR/jwks.json", "jwks "+jwks, 1)
	token := provider.token("alice", nil)

	down.Store(true)
	s.start(config)
	got := create(t, s.url, token, `{"user_id":"alice"}`)
	wantProblem(t, got, 503, "unavailable")
	wantHeaders(t, got, "Retry-After", "1")

	down.Store(false)
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if got = create(t, s.url, token, `{"user_id":"alice"}`); got.status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never recovered: %d %s\n%s", got.status, got.body, s.log)
		}
		time.Sleep(50 * time.Millisecond) // polling what another process does in its own time
	}
	s.stop()
	down.Store(true)
	s.start(config)
	wantStatus(t, create(t, s.url, token, `{"user_id":"alice"}`), 200)
}

// What is wrong with a configuration is found by Validate, as Caddy says it: the module is
// provisioned first, whatever is in it.
func TestValidate_SaysWhatIsWrongWithAConfiguration(t *testing.T) {
	t.Parallel()
	s := newSidecar(t, t.TempDir())
	for handler, want := range map[string]string{
		`{}`:                                 "issuer is missing",
		`{"issuer":"https://a.example.com"}`: "no trust",
		`{"issuer":"https://a.example.com","trust":[null],"allow":[null]}`:                  "trust without an issuer",
		`{"issuer":"https://a.example.com","trust":[{"issuer":"https://idp.example.com"}]}`: "trust https://idp.example.com: no audience",
	} {
		config := `{"apps":{"http":{"servers":{"x":{"routes":[{"handle":[` + strings.Replace(handler, "{", `{"handler":"auth_sessions",`, 1) + `]}]}}}}}`
		s.write("config.json", strings.Replace(config, ",}", "}", 1))
		out, err := s.command("validate", "--config", filepath.Join(s.dir, "config.json")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "http.handlers.auth_sessions: invalid configuration: "+want) {
			t.Errorf("%s: %v\n%s", handler, err, out)
		}
	}
}

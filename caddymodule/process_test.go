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

	"authsidecar/caddymodule/internal/sidecartest"
)

// An acknowledged session survives kill -9 at any moment. The sidecar is killed
// under load again and again; a session is looked for by repeating its request
// with its idempotency key, which is answered with the very same refresh token. Each round has
// eight connections in the middle of a write; package pebblestore kills the store alone as well.
func TestKill_AcknowledgedSessionsSurvive(t *testing.T) {
	t.Parallel()
	kills := 30
	if testing.Short() {
		kills = 5
	}
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), "session {\n\t\t\tmax_per_user 0\n\t\t}")
	token := provider.Token("alice", nil)
	total, acked := 0, make(map[string]string)
	check := func(round int) {
		s.Start(config)
		for key, refresh := range acked {
			got := s.Create(token, `{"user_id":"alice"}`, "Idempotency-Key", key)
			if got.Status != 200 || got.Fields["refresh_token"] != refresh {
				t.Fatalf("round %d: session of %s is lost or another: %d %s\n%s", round, key, got.Status, got.Body, s.Log())
			}
		}
		total += len(acked)
	}
	for round := range kills {
		check(round)
		acked = loadUntilKilled(t, s, token, round)
	}
	check(kills)
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
				got, err := s.TryCreate(token, `{"user_id":"alice"}`, "Idempotency-Key", key)
				if err != nil {
					return // killed
				}
				mu.Lock()
				if got.Status == 200 {
					acked[key] = got.Fields["refresh_token"].(string)
				}
				enough := len(acked) >= killAt
				mu.Unlock()
				if enough {
					_ = s.Process().Signal(syscall.SIGKILL)
				}
			}
		})
	}
	group.Wait()
	<-s.Ended()
	return acked
}

// A reload under load, also one that moves the store, answers no 500 and drops no
// acknowledged session.
func TestReload_UnderLoad(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	app := sidecartest.Echo(t)
	one := provider.Site(s.Sidecar, app, "store pebble DIR/one")
	two := provider.Site(s.Sidecar, app, "store pebble DIR/two")
	s.Start(one)
	token := provider.Token("alice", nil)

	var statuses sync.Map
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for !stop.Load() {
				got, err := s.TryCreate(token, `{"user_id":"alice"}`)
				if err != nil {
					continue // Caddy closes idle connections on a reload: so it does without us
				}
				count, _ := statuses.LoadOrStore(got.Status, new(atomic.Int64))
				count.(*atomic.Int64).Add(1)
			}
		})
	}
	for i := range 10 {
		config := one
		if i%2 == 0 {
			config = two
		}
		if err := s.Reload(config); err != nil {
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
	if strings.Contains(s.Log(), "panic") {
		t.Error("a panic in the log")
	}
}

func TestReload_LosesNoSession(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	app := sidecartest.Echo(t)
	one, two := provider.Site(s.Sidecar, app, "store pebble DIR/one"), provider.Site(s.Sidecar, app, "store pebble DIR/two")
	token := provider.Token("alice", nil)
	s.Start(one)
	first := s.Create(token, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	sidecartest.WantStatus(t, first, 200)
	for _, config := range []string{one, two, one} {
		file := s.Write("Caddyfile", s.Render(config))
		if out, err := s.Command("reload", "--config", file, "--adapter", "caddyfile", "--address", s.Admin, "--force").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	s.Client.CloseIdleConnections()
	again := s.Create(token, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	sidecartest.WantStatus(t, again, 200)
	if first.Fields["refresh_token"] != again.Fields["refresh_token"] {
		t.Error("the session is another after reloads")
	}
}

// 50 reloads leave the number of threads' worth of goroutines and open files
// flat.
func TestReload_LeaksNothing(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	app := sidecartest.Echo(t)
	configs := []string{provider.Site(s.Sidecar, app, ""), provider.Site(s.Sidecar, app, "store pebble DIR/other")}
	s.Start(configs[0])
	token := provider.Token("alice", nil)
	reload := func(times int) {
		for i := range times {
			if err := s.Reload(configs[(i+1)%2]); err != nil {
				t.Fatal(err)
			}
			sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 200)
		}
	}
	reload(10)
	goroutines, files := s.goroutines(), s.openFiles()
	reload(50)
	// The counts breathe with connections and compactions; a leak of one a reload
	// shows as 50.
	if got := s.goroutines(); got > goroutines+30 {
		t.Errorf("%d goroutines after 50 reloads, %d before", got, goroutines)
	}
	if got := s.openFiles(); got > files+30 {
		t.Errorf("%d open files after 50 reloads, %d before", got, files)
	}
}

// goroutines asks the admin API how many goroutines the process has.
func (s *sidecar) goroutines() int {
	s.t.Helper()
	resp, err := http.Get("http://" + s.Admin + "/debug/pprof/goroutine?debug=1")
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
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Process().Pid))
	if err != nil {
		s.t.Skip("no /proc here to count open files in")
	}
	return len(entries)
}

// Two blocks with one directory share one open store, and their realms never
// meet.
func TestRealms_ShareAStoreAndNeverMeet(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	app := sidecartest.Echo(t)
	other := "http://127.0.0.1:" + sidecartest.Port(t)
	config := provider.Site(s.Sidecar, app, "store pebble DIR/shared")
	second := strings.NewReplacer("SITE", "http://:"+sidecartest.PortOf(other), "issuer https://app.example.com", "issuer https://other.example.com").Replace(config)
	s.Start(config + second)
	token := provider.Token("alice", nil)
	first := s.Create(token, `{"user_id":"alice"}`, "Idempotency-Key", "k")
	sidecartest.WantStatus(t, first, 200)
	again := s.CreateAt(other, token, `{"user_id":"alice","reason":"another body"}`, "Idempotency-Key", "k")
	sidecartest.WantStatus(t, again, 200) // in one realm it would be 422
	if first.Fields["session_id"] == again.Fields["session_id"] {
		t.Error("two realms share a session")
	}
	if iss := sidecartest.Part(t, again.Fields["refresh_token"].(string), 1)["iss"]; iss != "https://other.example.com" {
		t.Errorf("issuer %v", iss)
	}
}

func TestStart_RefusesAForeignDirectoryAndLeavesItAlone(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	foreign := filepath.Join(s.Dir, "foreign")
	if err := os.MkdirAll(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "precious.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := s.StartRefused(provider.Site(s.Sidecar, sidecartest.Echo(t), "store pebble DIR/foreign"))
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
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), "")
	remote := strings.Replace(config, "jwks DIR/jwks.json", "jwks https://127.0.0.1:1/jwks.json", 1)
	discovery := strings.Replace(config, "jwks DIR/jwks.json", "", 1)
	for name, text := range map[string]string{"a key file": config, "a key set that is down": remote, "discovery that is down": discovery} {
		before := tree(t, s.Dir)
		file := s.Write("check.caddyfile", s.Render(text))
		out, err := s.Command("validate", "--config", file, "--adapter", "caddyfile").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if after := tree(t, s.Dir); after != before {
			t.Errorf("%s: left behind\n%s\nwas\n%s", name, after, before)
		}
	}
	s.Start(config)
	file := s.Write("Caddyfile", s.Render(config))
	out, err := s.Command("validate", "--config", file, "--adapter", "caddyfile").CombinedOutput()
	if err != nil {
		t.Errorf("beside a running server: %v\n%s", err, out)
	}
	sidecartest.WantStatus(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 200)
}

func TestH11_PlainHTTPOffTheLoopbackIsWarnedOf(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), "")
	tests := map[string]bool{"https://app.example.com": false, "http://127.0.0.1:8080": false, "http://[::1]": false, "http://app.example.com": true}
	texts := make(map[string]string)
	for issuer := range tests {
		texts[issuer] = strings.Replace(config, "issuer https://app.example.com", "issuer "+issuer, 1)
	}
	for issuer, got := range s.validateAll(texts) {
		if !got.valid {
			t.Errorf("%s: it is not valid\n%s", issuer, got.said)
		}
		if warned := strings.Contains(got.said, "tokens travel in the clear"); warned != tests[issuer] {
			t.Errorf("%s: warned %v, want %v", issuer, warned, tests[issuer])
		}
	}
}

// L2: what callers send cannot forge a line of the log, and every event says who,
// as whom, why and from where.
func TestL2_EventsAreWholeLines(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	for _, body := range []string{
		`{"user_id":"alice","reason":"ticket \"4711\""}`, `{"user_id":"a\n{\"level\":\"info\"}"}`, `{"user_id":"a\u001b[31m"}`,
		`{"user_id":"alice","reason":"a\r\nb"}`, `{"user_id":"alice","client_id":"a\u202eb"}`,
	} {
		s.Create(desk, body, "User-Agent", "evil \u202e")
	}
	s.WaitLog("session created")
	s.WaitLog("text is not acceptable")
	id := ""
	for line := range strings.Lines(s.Log()) {
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
			"user_id": "alice", "actor": "carol", "actor_issuer": provider.Issuer, "is_impersonation": true, "reason": `ticket "4711"`,
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
	officer := provider.Token("alice", nil)
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+id, officer, ""), 200)
	s.WaitLog(`"by":"alice"`)
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
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	var down atomic.Bool
	jwks := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, provider.JWKS())
	})
	s := newSidecar(t)
	config := strings.Replace(provider.Site(s.Sidecar, sidecartest.Echo(t), ""), "jwks DIR/jwks.json", "jwks "+jwks, 1)
	token := provider.Token("alice", nil)

	down.Store(true)
	s.Start(config)
	got := s.Create(token, `{"user_id":"alice"}`)
	sidecartest.WantProblem(t, got, 503, "unavailable")
	sidecartest.WantHeaders(t, got, "Retry-After", "1")

	down.Store(false)
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if got = s.Create(token, `{"user_id":"alice"}`); got.Status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never recovered: %d %s\n%s", got.Status, got.Body, s.Log())
		}
		time.Sleep(50 * time.Millisecond) // polling what another process does in its own time
	}
	s.Stop()
	down.Store(true)
	s.Start(config)
	sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 200)
}

// What is wrong with a configuration is found by Validate, as Caddy says it: the module is
// provisioned first, whatever is in it.
func TestValidate_SaysWhatIsWrongWithAConfiguration(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	for handler, want := range map[string]string{
		`{}`:                                 "issuer is missing",
		`{"issuer":"https://a.example.com"}`: "no trust",
		`{"issuer":"https://a.example.com","trust":[null],"allow":[null]}`:                  "trust without an issuer",
		`{"issuer":"https://a.example.com","trust":[{"issuer":"https://idp.example.com"}]}`: "trust https://idp.example.com: no audience",
	} {
		config := `{"apps":{"http":{"servers":{"x":{"routes":[{"handle":[` + strings.Replace(handler, "{", `{"handler":"auth_sessions",`, 1) + `]}]}}}}}`
		s.Write("config.json", strings.Replace(config, ",}", "}", 1))
		out, err := s.Command("validate", "--config", filepath.Join(s.Dir, "config.json")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "http.handlers.auth_sessions: invalid configuration: "+want) {
			t.Errorf("%s: %v\n%s", handler, err, out)
		}
	}
}

package caddymodule_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A collector takes the traces that Caddy exports (OTLP over http). Strings stand in the
// protocol's bytes as they are.
type collector struct {
	mu   sync.Mutex
	data strings.Builder
	url  string
}

func newCollector(t *testing.T) *collector {
	c := new(collector)
	c.url = sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.data.Write(body)
		c.mu.Unlock()
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	return c
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data.String()
}

// The trace of a request tells the decision, whose token it was, whether that was
// remembered, and how long the store took; and no token.
func TestTraces_TellTheDecision(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(strings.Replace(provider.Site(s.Sidecar, sidecartest.Echo(t), "lifecycle"), "SITE {", "SITE {\n\ttracing", 1))
	alice := provider.Token("alice", nil)
	got := s.Create(alice, `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, got, 200)
	s.Create(alice, `{"user_id":"bob"}`)
	s.Create(provider.Token("alice", map[string]any{"aud": "other"}), `{"user_id":"alice"}`)
	s.Refresh(got.Text("refresh_token"))
	s.Call("GET", "/current", got.Text("access_token"), "")

	want := []string{
		"auth_sessions.decision", "created", "denied", "audience", "refreshed", "answered",
		"auth_sessions.issuer", provider.Issuer, "auth_sessions.cache_hit", "auth_sessions.store_seconds",
		"auth_sessions.session_id", got.Text("session_id"),
	}
	var missing string
	for deadline := time.Now().Add(30 * time.Second); ; {
		missing = ""
		text := c.text()
		for _, word := range want {
			if !strings.Contains(text, word) {
				missing = word
			}
		}
		if missing == "" || time.Now().After(deadline) {
			break
		}
		time.Sleep(10 * time.Millisecond) // it is exported in the background
	}
	if missing != "" {
		t.Errorf("%q is in no trace: %q", missing, c.text())
	}
	s.Stop()
	if line, found := sidecartest.Leaked(c.text(), s.Secrets()...); found {
		t.Errorf("L1: a token is in a trace: %q", line)
	}
}

// accessLog returns the entry of the access log of that number, from 0.
func (s *sidecar) accessLog(n int) map[string]any {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		entries := []map[string]any{}
		for line := range strings.Lines(s.Log()) {
			var entry map[string]any
			if strings.Contains(line, `"logger":"http.log.access`) && json.Unmarshal([]byte(line), &entry) == nil {
				entries = append(entries, entry)
			}
		}
		if len(entries) > n {
			return entries[n]
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("no entry %d in the access log\n%s", n, s.Log())
		}
	}
}

// The access log tells which session a request was about, and who acts.
func TestAccessLog_TellsSessionAndActor(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(strings.Replace(provider.Site(s.Sidecar, sidecartest.Echo(t), "lifecycle"), "SITE {", "SITE {\n\tlog", 1))
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	got := s.Create(desk, `{"user_id":"alice"}`)
	s.Create("rubbish", `{"user_id":"alice"}`)
	s.Get("GET", "/app")
	want := map[string]any{"session_id": got.Text("session_id"), "session_user": "alice", "session_actor": "carol", "session_decision": "created"}
	first := s.accessLog(0)
	for name, value := range want {
		if first[name] != value {
			t.Errorf("%s is %v, want %v", name, first[name], value)
		}
	}
	if second := s.accessLog(1); second["session_decision"] != "form" || second["session_id"] != nil {
		t.Errorf("a refused request: %v %v", second["session_decision"], second["session_id"])
	}
	if third := s.accessLog(2); third["session_decision"] != nil {
		t.Errorf("the app's request: %v", third)
	}
}

// With identity, so does the entry of each request of the app; and its trace.
func TestAccessLog_TellsSessionAndActorOfTheAppsRequests(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(strings.Replace(provider.Site(s.Sidecar, sidecartest.Echo(t), "identity {\n\t\t\trequire\n\t\t}"), "SITE {", "SITE {\n\tlog\n\ttracing", 1))
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	got := s.Create(desk, `{"user_id":"alice"}`)
	req, err := http.NewRequest("GET", s.URL+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+got.Text("access_token"))
	answered, err := s.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, answered, 200)
	entry := s.accessLog(1)
	for name, value := range map[string]any{"session_id": got.Text("session_id"), "session_user": "alice", "session_actor": "carol", "session_decision": "forwarded"} {
		if entry[name] != value {
			t.Errorf("%s is %v, want %v", name, entry[name], value)
		}
	}
	sidecartest.WantStatus(t, s.Get("GET", "/app"), 401)
	if entry := s.accessLog(2); entry["session_decision"] != "denied:no_token" || entry["session_id"] != nil {
		t.Errorf("a refused request: %v", entry)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(c.text(), "forwarded") || !strings.Contains(c.text(), "denied:no_token"); {
		if time.Now().After(deadline) {
			t.Fatalf("no trace of it: %q", c.text())
		}
		time.Sleep(10 * time.Millisecond) // it is exported in the background
	}
}

func TestL1_TheDocumentedFilterKeepsTokensInURLsOutOfLogs(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	app := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/next?"+r.URL.RawQuery)
		w.WriteHeader(204)
	})
	s.Start(strings.Replace(provider.Site(s.Sidecar, app, ""), "SITE {", "SITE {\n\tlog {\n\t\timport without_tokens\n\t}", 1))
	token := provider.Token("alice", nil)
	for _, path := range []string{"/app?access_token=" + token, "/app/" + token + "/x", "/auth/sessions?x=1&refresh_token=" + token + "&y=2"} {
		req, err := http.NewRequest("GET", s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Referer", s.URL+path)
		if _, err := s.Do(req); err != nil {
			t.Fatal(err)
		}
	}
	s.accessLog(2)
	if n := strings.Count(s.Log(), "[token]"); n < 6 {
		t.Errorf("%d tokens were taken out of the log, want 6 at the least\n%s", n, s.Log())
	}
}

// Caddy hides Authorization and cookies only, and notes the headers before they are removed.
func TestL1_TheDocumentedFilterKeepsTokensInHeadersOutOfLogs(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	for _, name := range []string{"Cf-Access-Jwt-Assertion", "X-Goog-Iap-Jwt-Assertion"} {
		s := newSidecar(t)
		site := callersSite(provider, s, sidecartest.Echo(t), "audience "+sidecartest.Audience+"\n\t\t\ttoken_header "+name, "")
		s.Start(strings.Replace(site, "SITE {", "SITE {\n\tlog {\n\t\timport without_tokens\n\t}", 1))
		s.WaitLog("format filter { request>headers>" + name + " delete }")
		token := provider.Token("alice", nil)
		sidecartest.WantStatus(t, s.Create("", `{"user_id":"alice"}`, name, token, "Sec-Fetch-Site", "same-origin"), 200)
		s.accessLog(0)
		if log := s.Log(); strings.Contains(log, token) || !strings.Contains(log, `"Sec-Fetch-Site"`) {
			t.Errorf("%s: the token is in the log, or no header is:\n%s", name, log)
		}
	}
}

// What will hurt is said when a configuration is validated, and when Caddy starts.
func TestWarnings_AreSaidByValidateAndAtStart(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), "")
	const warning = `"msg":"allow lets callers impersonate without giving a reason: write impersonation { require_reason }"`
	out, err := s.Command("validate", "--config", s.Write("Caddyfile", s.Render(config)), "--adapter", "caddyfile").CombinedOutput()
	if err != nil || !strings.Contains(string(out), warning) || !strings.Contains(string(out), `"level":"warn"`) {
		t.Errorf("validate: %v\n%s", err, out)
	}
	s.Start(config)
	s.WaitLog(warning)
}

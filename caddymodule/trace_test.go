package caddymodule_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
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
	c.url = newServer(t, func(w http.ResponseWriter, r *http.Request) {
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
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(strings.Replace(provider.site(s, echo(t).URL, "lifecycle"), "SITE {", "SITE {\n\ttracing", 1))
	alice := provider.token("alice", nil)
	got := create(t, s.url, alice, `{"user_id":"alice"}`)
	wantStatus(t, got, 200)
	create(t, s.url, alice, `{"user_id":"bob"}`)
	create(t, s.url, provider.token("alice", map[string]any{"aud": "other"}), `{"user_id":"alice"}`)
	s.refresh(got.text("refresh_token"))
	s.call("GET", "/current", got.text("access_token"), "")

	want := []string{
		"auth_sessions.decision", "created", "denied", "audience", "refreshed", "answered",
		"auth_sessions.issuer", provider.issuer, "auth_sessions.cache_hit", "auth_sessions.store_seconds",
		"auth_sessions.session_id", got.text("session_id"),
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
	s.stop()
	if line, found := leaked(c.text(), s.secrets()...); found {
		t.Errorf("L1: a token is in a trace: %q", line)
	}
}

// accessLog returns the entry of the access log of that number, from 0.
func (s *sidecar) accessLog(n int) map[string]any {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		entries := []map[string]any{}
		for line := range strings.Lines(s.log.String()) {
			var entry map[string]any
			if strings.Contains(line, `"logger":"http.log.access`) && json.Unmarshal([]byte(line), &entry) == nil {
				entries = append(entries, entry)
			}
		}
		if len(entries) > n {
			return entries[n]
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("no entry %d in the access log\n%s", n, s.log)
		}
	}
}

// The access log tells which session a request was about, and who acts.
func TestAccessLog_TellsSessionAndActor(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(strings.Replace(provider.site(s, echo(t).URL, "lifecycle"), "SITE {", "SITE {\n\tlog", 1))
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	got := create(t, s.url, desk, `{"user_id":"alice"}`)
	create(t, s.url, "rubbish", `{"user_id":"alice"}`)
	s.get("GET", "/app")
	want := map[string]any{"session_id": got.text("session_id"), "session_user": "alice", "session_actor": "carol", "session_decision": "created"}
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
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(strings.Replace(provider.site(s, echo(t).URL, "identity {\n\t\t\trequire\n\t\t}"), "SITE {", "SITE {\n\tlog\n\ttracing", 1))
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	got := create(t, s.url, desk, `{"user_id":"alice"}`)
	req, err := http.NewRequest("GET", s.url+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+got.text("access_token"))
	answered, err := do(req)
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, answered, 200)
	entry := s.accessLog(1)
	for name, value := range map[string]any{"session_id": got.text("session_id"), "session_user": "alice", "session_actor": "carol", "session_decision": "forwarded"} {
		if entry[name] != value {
			t.Errorf("%s is %v, want %v", name, entry[name], value)
		}
	}
	wantStatus(t, s.get("GET", "/app"), 401)
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

// withoutTokens is the snippet with which the page about monitoring keeps tokens out of logs,
// where clients put them into URLs: Caddy logs these itself. All tests run with it.
var withoutTokens = sync.OnceValue(func() string {
	data, err := os.ReadFile(filepath.Join("docs", "monitoring.md"))
	if err != nil {
		panic(err)
	}
	_, rest, shown := strings.Cut(string(data), "\n(without_tokens) {\n")
	if !shown {
		panic("docs/monitoring.md does not show the snippet (without_tokens)")
	}
	body, _, _ := strings.Cut(rest, "\n}\n")
	return "(without_tokens) {\n" + body + "\n}\n"
})

func TestL1_TheDocumentedFilterKeepsTokensInURLsOutOfLogs(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/next?"+r.URL.RawQuery)
		w.WriteHeader(204)
	})
	s.start(strings.Replace(provider.site(s, app, ""), "SITE {", "SITE {\n\tlog {\n\t\timport without_tokens\n\t}", 1))
	token := provider.token("alice", nil)
	for _, path := range []string{"/app?access_token=" + token, "/app/" + token + "/x", "/auth/sessions?x=1&refresh_token=" + token + "&y=2"} {
		req, err := http.NewRequest("GET", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Referer", s.url+path)
		if _, err := do(req); err != nil {
			t.Fatal(err)
		}
	}
	s.accessLog(2)
	if n := strings.Count(s.log.String(), "[token]"); n < 6 {
		t.Errorf("%d tokens were taken out of the log, want 6 at the least\n%s", n, s.log)
	}
}

// Caddy hides Authorization and cookies only, and notes the headers before they are removed.
func TestL1_TheDocumentedFilterKeepsTokensInHeadersOutOfLogs(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	for _, name := range []string{"Cf-Access-Jwt-Assertion", "X-Goog-Iap-Jwt-Assertion"} {
		s := newSidecar(t, t.TempDir())
		site := provider.callersSite(s, echo(t).URL, "audience "+audience+"\n\t\t\ttoken_header "+name, "")
		s.start(strings.Replace(site, "SITE {", "SITE {\n\tlog {\n\t\timport without_tokens\n\t}", 1))
		s.waitLog("format filter { request>headers>" + name + " delete }")
		token := provider.token("alice", nil)
		wantStatus(t, create(t, s.url, "", `{"user_id":"alice"}`, name, token, "Sec-Fetch-Site", "same-origin"), 200)
		s.accessLog(0)
		if log := s.log.String(); strings.Contains(log, token) || !strings.Contains(log, `"Sec-Fetch-Site"`) {
			t.Errorf("%s: the token is in the log, or no header is:\n%s", name, log)
		}
	}
}

// What will hurt is said when a configuration is validated, and when Caddy starts.
func TestWarnings_AreSaidByValidateAndAtStart(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	config := provider.site(s, echo(t).URL, "")
	const warning = `"msg":"allow lets callers impersonate without saying why: write impersonation { require_reason }"`
	out, err := s.command("validate", "--config", s.write("Caddyfile", s.render(config)), "--adapter", "caddyfile").CombinedOutput()
	if err != nil || !strings.Contains(string(out), warning) || !strings.Contains(string(out), `"level":"warn"`) {
		t.Errorf("validate: %v\n%s", err, out)
	}
	s.start(config)
	s.waitLog(warning)
}

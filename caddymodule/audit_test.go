package caddymodule_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// auditSite is a site whose audit is in DIR/audit/audit.jsonl.
func auditSite(s *sidecar, provider *sidecartest.IDP, app, words string) string {
	if err := os.MkdirAll(filepath.Join(s.Dir, "audit"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	return provider.Site(s.Sidecar, app, "lifecycle\n\t\taudit file DIR/audit/audit.jsonl\n\t\t"+words)
}

// auditLines returns the records of the audit file.
func (s *sidecar) auditLines() (records []map[string]any) {
	s.t.Helper()
	for line := range strings.Lines(s.auditText()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		records = append(records, record)
	}
	return records
}

func (s *sidecar) auditText() string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Dir, "audit", "audit.jsonl"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// auditVerify runs the command.
func (s *sidecar) auditVerify(args ...string) (string, error) {
	out, err := s.Command(append([]string{"auth-sessions", "audit", "verify"}, args...)...).CombinedOutput()
	return string(out), err
}

// Everything that happens to a session is a line: who, as whom, why, from where, by
// which rule. The log has it too, under its own name, with the line's hash.
func TestL2_Audit_HasALineForEverything(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(auditSite(s, provider, sidecartest.Echo(t), "protect user root\n\t\trefresh_token {\n\t\t\tgrace 30s\n\t\t}"))
	alice := provider.Token("alice", nil)
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})

	own := s.Create(alice, `{"user_id":"alice"}`)
	acting := s.Create(desk, `{"user_id":"alice","reason":"ticket \u0034711"}`)
	s.Create(desk, `{"user_id":"root","reason":"curious"}`)
	next := s.Refresh(own.Text("refresh_token"))
	s.Refresh(own.Text("refresh_token")) // again, within the grace period
	last := s.Refresh(next.Text("refresh_token"))
	s.Refresh(own.Text("refresh_token")) // twice removed: stolen
	s.Refresh(last.Text("refresh_token"))
	s.Call("DELETE", "/current", acting.Text("access_token"), "")

	want := []map[string]any{
		{"event": "created", "user_id": "alice", "actor": "alice", "rule": "self", "is_impersonation": false, "session_id": own.Text("session_id")},
		{"event": "created", "user_id": "alice", "actor": "carol", "actor_issuer": provider.Issuer, "rule": "scope sessions:impersonate", "is_impersonation": true, "reason": "ticket 4711", "client_ip": "127.0.0.1", "client_id": "desk"},
		{"event": "denied", "user_id": "root", "actor": "carol", "reason": "curious", "error": "caller may not have this session: the user is protected"},
		{"event": "refreshed", "session_id": own.Text("session_id"), "client_ip": "127.0.0.1"},
		{"event": "retried", "session_id": own.Text("session_id")},
		{"event": "refreshed", "session_id": own.Text("session_id")},
		{"event": "reuse", "session_id": own.Text("session_id"), "end_reason": "reuse"},
		{"event": "denied", "session_id": own.Text("session_id"), "error": "refresh token is not valid: session revoked"},
		{"event": "revoked", "session_id": acting.Text("session_id"), "end_reason": "revoked", "by": "carol"},
	}
	got := s.auditLines()
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), s.auditText())
	}
	for i, fields := range want {
		fields["issuer"], fields["seq"] = "https://app.example.com", float64(i+1)
		for name, value := range fields {
			if got[i][name] != value {
				t.Errorf("line %d: %s is %v, want %v", i+1, name, got[i][name], value)
			}
		}
		s.WaitLog(`"audit_sha256":"` + got[i]["sha256"].(string) + `"`)
	}
	if !regexp.MustCompile(`"logger":"http\.handlers\.auth_sessions\.audit","msg":"session created"`).MatchString(s.Log()) {
		t.Error("the log has it under another name")
	}
	out, err := s.auditVerify("audit/audit.jsonl", "--head", got[8]["sha256"].(string))
	if err != nil || !strings.Contains(out, "9 lines, number 1 to 9, are as they were written") {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// Who is named like the beginning of a token is recorded by that name, in the audit and in
// the access log; a caller's token that a client took for a name is not.
func TestAudit_NamesLikeTokensAreNames(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(strings.Replace(auditSite(s, provider, sidecartest.Echo(t), ""), "SITE {", "SITE {\n\tlog", 1))
	const name, victim = "eyJabcdefghij", "eyJhbGciOiJFUzI1NiJ9"
	desk := provider.Token(name, map[string]any{"scope": "sessions:impersonate", "client_id": name})
	got := s.Create(desk, `{"user_id":"`+victim+`"}`)
	sidecartest.WantStatus(t, got, 200)
	const short = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlIHRoYXQgaXMgbG9uZyBlbm91Z2g"
	sidecartest.Remember(short)
	s.Create(desk, `{"user_id":"`+short+`"}`)
	lines := s.auditLines()
	if lines[0]["actor"] != name || lines[0]["user_id"] != victim || lines[0]["client_id"] != name {
		t.Errorf("line %v", lines[0])
	}
	if user, _ := lines[1]["user_id"].(string); !strings.HasPrefix(user, "[token sha256:") {
		t.Errorf("line %v", lines[1])
	}
	if entry := s.accessLog(0); entry["session_actor"] != name || entry["session_user"] != victim {
		t.Errorf("entry %v", entry)
	}
}

// A session that came to its end is told to the audit when it is swept, in its realm.
func TestAudit_TellsWhatWasSwept(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(auditSite(s, provider, sidecartest.Echo(t), ""))
	got := s.Create(provider.Token("alice", nil), `{"user_id":"alice","expires_in_millis":1}`)
	sidecartest.WantStatus(t, got, 200)
	s.WaitLog(`"msg":"session expired"`)
	servertest.Until(t, "the audit log has it", func() error {
		if len(s.auditLines()) < 2 {
			return errors.New(s.auditText())
		}
		return nil
	})
	if r := s.auditLines()[1]; r["event"] != "expired" || r["session_id"] != got.Text("session_id") || r["issuer"] != "https://app.example.com" {
		t.Errorf("line %v", r)
	}
}

// The chain goes on over reloads, kill -9, restarts and rotations, and the command
// finds what somebody changed.
func TestAudit_OneChainWhateverHappens(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := auditSite(s, provider, sidecartest.Echo(t), "")
	token := provider.Token("alice", nil)
	mint := func() { sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 200) }
	s.Start(config)
	mint()
	if err := s.Reload(config); err != nil {
		t.Fatal(err)
	}
	mint()
	s.Kill()
	file := filepath.Join(s.Dir, "audit", "audit.jsonl")
	torn, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = torn.WriteString(`{"seq":3,"ti`)
	_ = torn.Close()
	s.Start(config)
	mint()
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	mint()
	s.Stop()
	s.Start(config)
	mint()

	both := []string{"audit/audit.jsonl.1", "audit/audit.jsonl", "--json"}
	out, err := s.auditVerify(both...)
	if err != nil || !strings.Contains(out, `{"ok":true,"lines":7,"first":1,"last":7,`) {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	s.Stop() // it would notice within a second, and mend a torn line
	whole := s.auditText()
	for name, text := range map[string]string{
		"changed": strings.Replace(whole, `"user_id":"alice"`, `"user_id":"bobby"`, 1),
		"removed": whole[strings.IndexByte(whole, '\n')+1:],
		"cut":     whole[:len(whole)-9],
	} {
		s.Write("audit/audit.jsonl", text)
		out, err := s.auditVerify(both...)
		if err == nil || !strings.Contains(out, `{"ok":false,`) || !strings.Contains(out, `"file":"audit/audit.jsonl","line":`) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if out, err := s.auditVerify("audit/none"); err == nil || strings.Contains(out, "as they were written") {
		t.Errorf("a file that is not there: %v\n%s", err, out)
	}
}

// With audit required, no session is created or refreshed unless its line is on disk
// before; and it works again when the disk does.
func TestAudit_RequiredIsFirst(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(auditSite(s, provider, sidecartest.Echo(t), "audit required"))
	token := provider.Token("alice", nil)
	first := s.Create(token, `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, first, 200)
	var events []string
	for _, r := range s.auditLines() {
		events = append(events, r["event"].(string))
		if r["session_id"] != first.Text("session_id") {
			t.Errorf("of another session: %v", r)
		}
	}
	if strings.Join(events, " ") != "creating created" {
		t.Errorf("lines %v, want the intent and the outcome", events)
	}

	dir := filepath.Join(s.Dir, "audit")
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantProblem(t, s.Create(token, `{"user_id":"alice"}`, "Idempotency-Key", "k"), 503, "unavailable")
	sidecartest.WantProblem(t, s.Refresh(first.Text("refresh_token")), 503, "unavailable")
	if err := os.Rename(dir+".gone", dir); err != nil {
		t.Fatal(err)
	}
	listed := s.Call("GET", "?user_id=alice", first.Text("access_token"), "")
	if items, _ := listed.Fields["items"].([]any); len(items) != 1 {
		t.Errorf("%d sessions: one was created without its line\n%s", len(items), listed.Body)
	}
	sidecartest.WantStatus(t, s.Refresh(first.Text("refresh_token")), 200) // it was not used
	sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`, "Idempotency-Key", "k"), 200)
	if out, err := s.auditVerify("audit/audit.jsonl"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Without required, the audit's disk is nobody's concern but the operator's.
func TestAudit_NotRequiredStopsNothing(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(auditSite(s, provider, sidecartest.Echo(t), ""))
	token := provider.Token("alice", nil)
	sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 200) // it is open
	dir := filepath.Join(s.Dir, "audit")
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 200)
	s.WaitLog("an audit line could not be written")
	if got := s.scrape()[`auth_sessions_audit_errors_total{realm="https://app.example.com"}`]; got != "1" {
		t.Errorf("audit errors %q", got)
	}
}

// Who cannot write the audit does not start, and does not take a reload.
func TestAudit_RefusesAFileThatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	config := auditSite(s, provider, sidecartest.Echo(t), "")
	s.Write("audit/audit.jsonl", "somebody else's line\n")
	if out := s.StartRefused(config); !strings.Contains(out, "does not end in a line of ours") {
		t.Errorf("said %s", out)
	}
	if err := os.Remove(filepath.Join(s.Dir, "audit", "audit.jsonl")); err != nil {
		t.Fatal(err)
	}
	s.Start(config)
	other := newSidecar(t)
	shared := strings.ReplaceAll(strings.ReplaceAll(config, "DIR/audit", s.Dir+"/audit"), "DIR/jwks.json", s.Dir+"/jwks.json")
	if out := other.StartRefused(shared); !strings.Contains(out, "another process writes this audit file") {
		t.Errorf("said %s", out)
	}
}

// What a validated configuration says of an audit file is not done.
func TestAudit_ValidateLeavesTheFileAlone(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	file := s.Write("Caddyfile", s.Render(auditSite(s, provider, sidecartest.Echo(t), "")))
	if out, err := s.Command("validate", "--config", file, "--adapter", "caddyfile").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "audit", "audit.jsonl")); !os.IsNotExist(err) {
		t.Errorf("it was made: %v", err)
	}
}

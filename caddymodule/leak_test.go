package caddymodule_test

import (
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

func TestL1_TheSearchFindsATokenAnywhere(t *testing.T) {
	token := sidecartest.NewIDP(t, "https://idp.example.com").Token("alice", nil)
	parts := strings.Split(token, ".")
	for name, text := range map[string]string{
		"a token":                        "x\n{\"token\":\"" + token + "\"}\n",
		"its claims":                     parts[1],
		"its signature":                  "sig=" + parts[2] + "&x",
		"its signature, run into others": "aaaa" + parts[2] + "bbbb",
		"without its signature":          parts[0] + "." + parts[1],
		"one that nobody issued":         "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
		"a secret":                       "the hunter2 one",
	} {
		if _, found := sidecartest.Leaked(text, "hunter2"); !found {
			t.Errorf("%s was not found in %q", name, text)
		}
	}
	for _, text := range []string{"", "a line\n", `"kid":"` + strings.Repeat("k", 43) + `"`, parts[0]} {
		if line, found := sidecartest.Leaked(text, "hunter2"); found {
			t.Errorf("found in %q", line)
		}
	}
}

// L1 with everything on: access logs, a DEBUG log, an audit, events and traces, and
// tokens where they do not belong.
func TestL1_NoTokenInAnyOutput(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Global = "\tevents {\n\t\ton \"\" test_teller\n\t}\n\tservers {\n\t\ttrace\n\t}\n"
	config := auditSite(s, provider, sidecartest.Echo(t), "audit required\n\t\tshadow allow claim dept night\n\t\tmanage scope sessions:manage")
	s.Start(strings.Replace(config, "SITE {", "SITE {\n\tlog\n", 1))
	s.WaitLog("serving initial configuration") // with all apps
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate sessions:manage"})
	got := s.Create(desk, `{"user_id":"alice","reason":"ticket"}`)
	sidecartest.WantStatus(t, got, 200)
	access, refresh := got.Text("access_token"), got.Text("refresh_token")
	next := s.Refresh(refresh)
	s.Refresh(refresh)
	for _, token := range []string{desk, access, refresh, next.Text("refresh_token")} {
		s.Call("GET", "?user_id=alice", token, "")
		s.Call("GET", "/current", token, "")
		s.Call("GET", "/"+got.Text("session_id"), token, "")
		s.Call("POST", "/current/refresh", token, `{"refresh_token":"`+token+`"}`)
		s.Create(token, `{"user_id":"`+token[:200]+`","reason":"x"}`)
		s.Create(token+"x", `{"user_id":"alice"}`)
		s.Create("x "+token, `{"user_id":"alice"}`)
		s.Create(token, token)
		s.Create("", `{"user_id":"alice"}`, "Authorization", "Bearer"+token)
		s.Create("", `{"user_id":"alice"}`, "Cookie", "auth="+token)
		s.Create(desk, `{"user_id":"alice","reason":"r"}`, "Idempotency-Key", strings.Repeat("k", 255))
	}
	s.Call("DELETE", "?user_id=alice", desk, "")
	if err := s.Reload(strings.Replace(config, "SITE {", "SITE {\n\tlog\n", 1)); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if line, found := sidecartest.Leaked(s.auditText(), s.Secrets()...); found {
		t.Errorf("in the audit: %s", line)
	}
	if n := len(s.Secrets()); n < 3 {
		t.Errorf("only %d secrets are known: nothing was looked for", n)
	}
	if !strings.Contains(s.Log(), `"logger":"http.log.access`) {
		t.Error("no access log")
	}
}

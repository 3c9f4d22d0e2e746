package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// refusals returns what the log tells of refused tokens at Caddy's default level, by reason and
// issuer: how many, and the last line.
func (s *sidecar) refusals() (counts map[string]int, lines map[string]map[string]any, all int) {
	s.t.Helper()
	counts, lines = make(map[string]int), make(map[string]map[string]any)
	for line := range strings.Lines(s.Log()) {
		var entry map[string]any
		if !strings.Contains(line, `"msg":"bearer token refused"`) || json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		if entry["level"] != "info" || entry["issuer"] != "https://app.example.com" || entry["client_ip"] != "127.0.0.1" {
			s.t.Errorf("line %v", entry)
		}
		name := fmt.Sprint(entry["reason"])
		if issuer, ok := entry["trusted_issuer"]; ok {
			name += " of " + issuer.(string)
		}
		counts[name] += int(entry["count"].(float64))
		lines[name] = entry
		all++
	}
	return counts, lines, all
}

// waitRefusals returns when the log has told of so many of each.
func (s *sidecar) waitRefusals(want map[string]int) (lines map[string]map[string]any, all int) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		counts, lines, all := s.refusals()
		missing := false
		for name, count := range want {
			missing = missing || counts[name] != count
		}
		if !missing && len(counts) == len(want) {
			return lines, all
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the log tells of %v, want %v\n%s", counts, want, s.Log())
		}
		time.Sleep(10 * time.Millisecond) // polling what another process writes
	}
}

// Whoever sets this up sees in the log, as it is by default, why a token gets 401, and what to
// do about it.
func TestRefusedTokens_AreInTheLog(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\trequire\n\t\t}"))
	own := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
	stranger := sidecartest.NewIDP(t, "https://idp.example.com/")
	forger := sidecartest.NewIDP(t, p.Issuer)
	for _, token := range []string{
		p.Token("alice", map[string]any{"aud": "https://api.example.com"}), p.Token("alice", map[string]any{"aud": "https://api.example.com"}),
		p.Token("alice", map[string]any{"exp": 1}), stranger.Token("alice", nil), forger.Token("alice", nil), "rubbish",
	} {
		sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 401)
	}
	sidecartest.WantStatus(t, s.Create("", `{"user_id":"alice"}`), 401) // without a token: the answer says it
	s.Call("GET", "/current", own.Text("refresh_token"), "")
	for _, header := range [][]string{
		{"Authorization", "Bearer " + p.Token("alice", nil)},
		{"Authorization", bearerOf(own), "Authorization", bearerOf(own)},
	} {
		sidecartest.WantStatus(t, s.through("GET", "/app", header...), 401)
	}
	lines, _ := s.waitRefusals(map[string]int{
		"audience of https://idp.example.com": 2, "expired of https://idp.example.com": 1, "unknown_key of https://idp.example.com": 1,
		"unknown_issuer": 1, "form": 1, "unknown_issuer of https://idp.example.com": 1, "unknown_key of https://app.example.com": 1,
		"malformed_credentials": 1,
	})
	for name, mend := range map[string]string{
		"audience of https://idp.example.com": "audience in the trust block", "unknown_issuer": "add: trust <issuer>",
		"unknown_issuer of https://idp.example.com": "accept callers", "malformed_credentials": "Authorization: Bearer",
		"unknown_key of https://idp.example.com": "caddy auth-sessions keys",
	} {
		if got := fmt.Sprint(lines[name]["mend"]); !strings.Contains(got, mend) {
			t.Errorf("%s: the mend is %q", name, got)
		}
	}
	if got := lines["unknown_issuer"]["unknown_issuer"]; got != "https://idp.example.com/" {
		t.Errorf("the issuer that nobody trusts is told as %q", got)
	}
}

// What is wrong with our own tokens is no trust block's, and what is wrong with cookies no header's.
func TestRefusedTokens_OfOurOwnAndOfCookiesHaveMendsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "require\n\t\t\tcookie sid")
	forger := sidecartest.NewIDP(t, "https://app.example.com")
	for _, claims := range []map[string]any{nil, {"aud": "https://app.example.com", "sid": "x"}} {
		sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", "Bearer "+forger.Token("alice", claims)), 401)
	}
	other := s.Create(p.Token("mallory", nil), `{"user_id":"mallory"}`).Text("access_token")
	sidecartest.WantStatus(t, s.through("GET", "/app", "Cookie", "sid="+p.own.Text("access_token")+"; sid="+other), 401)
	lines, _ := s.waitRefusals(map[string]int{"unknown_key of https://app.example.com": 2, "several_cookies": 1})
	for name, mend := range map[string]string{"unknown_key of https://app.example.com": "sign in again", "several_cookies": "delete the cookies"} {
		got := fmt.Sprint(lines[name]["mend"])
		if !strings.Contains(got, mend) || strings.Contains(got, "trust") || strings.Contains(got, "Authorization") {
			t.Errorf("%s: the mend is %q", name, got)
		}
	}
}

// Who invents issuers does not fill the log.
func TestRefusedTokens_AFloodOfInventedIssuersIsAFewLines(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), ""))
	const flood = 500
	for i := range flood {
		evil := *p
		evil.Issuer = fmt.Sprintf("https://%d.example.com/\n\x1b[2J\u202e%s", i, strings.Repeat("x", 2000))
		sidecartest.WantStatus(t, s.Create(evil.Token("alice", nil), `{"user_id":"alice"}`), 401)
	}
	lines, all := s.waitRefusals(map[string]int{"unknown_issuer": flood})
	if all > flood/10 {
		t.Errorf("%d lines tell of %d tokens", all, flood)
	}
	if got := fmt.Sprint(lines["unknown_issuer"]["unknown_issuer"]); len(got) > 500 || strings.ContainsAny(got, "\n\x1b\u202e") {
		t.Errorf("the issuer is told as %q", got)
	}
}

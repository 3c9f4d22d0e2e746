package caddymodule_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// issued are the tokens that this run of the tests minted, or got from a sidecar: by a
// piece of each part that is not for everybody, the claims and the signature.
var issued struct {
	mu     sync.Mutex
	pieces map[string]bool
}

// pieceSize is how much of a part is looked for: no part is shorter.
const pieceSize = 32

// remember notes that a token was issued.
func remember(token string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return
	}
	issued.mu.Lock()
	defer issued.mu.Unlock()
	if issued.pieces == nil {
		issued.pieces = make(map[string]bool)
	}
	for _, part := range parts[1:] {
		if len(part) >= pieceSize {
			issued.pieces[part[len(part)-pieceSize:]] = true
		}
	}
}

// rememberAll notes the tokens of an answer.
func rememberAll(fields map[string]any) {
	for _, value := range fields {
		if text, ok := value.(string); ok {
			remember(text)
		}
	}
}

var (
	encoded     = regexp.MustCompile(`[A-Za-z0-9_-]{32,}`)
	likeAToken  = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}`)
	privatePart = regexp.MustCompile(`"(?:d|k)":\s*"([A-Za-z0-9_-]{32,})"`)
)

// leaked tells in which line there is a token that was issued, or what looks like one,
// or one of the secrets.
func leaked(text string, secrets ...string) (line string, found bool) {
	issued.mu.Lock()
	defer issued.mu.Unlock()
	for line := range strings.Lines(text) {
		if likeAToken.MatchString(line) {
			return line, true
		}
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				return line, true
			}
		}
		for _, run := range encoded.FindAllString(line, -1) {
			for at := 0; at+pieceSize <= len(run); at++ {
				if issued.pieces[run[at:at+pieceSize]] {
					return line, true
				}
			}
		}
	}
	return "", false
}

// secrets returns what a sidecar keeps secret: its private keys.
func (s *sidecar) secrets() (secrets []string) {
	files, _ := filepath.Glob(filepath.Join(s.dir, "data", "caddy", "auth_sessions", "*", "*"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, m := range privatePart.FindAllSubmatch(data, -1) {
			secrets = append(secrets, string(m[1]))
		}
		if filepath.Base(file) == "id_secret" {
			secrets = append(secrets, strings.TrimSpace(string(data)))
		}
	}
	return secrets
}

// wantNoToken asserts that nothing that the sidecar ever wrote has a token or a secret
// in it. It runs at the end of every test, and every sidecar logs at DEBUG.
func (s *sidecar) wantNoToken() {
	for _, log := range s.logs {
		if line, found := leaked(log.String(), s.secrets()...); found {
			s.t.Errorf("L1: a token or a secret is in the log:\n%s", line)
		}
	}
}

func TestL1_TheSearchFindsATokenAnywhere(t *testing.T) {
	token := newIDP(t, "https://idp.example.com").token("alice", nil)
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
		if _, found := leaked(text, "hunter2"); !found {
			t.Errorf("%s was not found in %q", name, text)
		}
	}
	for _, text := range []string{"", "a line\n", `"kid":"` + strings.Repeat("k", 43) + `"`, parts[0]} {
		if line, found := leaked(text, "hunter2"); found {
			t.Errorf("found in %q", line)
		}
	}
}

// L1 with everything on: access logs, a DEBUG log, an audit, events and traces, and
// tokens where they do not belong.
func TestL1_NoTokenInAnyOutput(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.words = "\tevents {\n\t\ton \"\" test_teller\n\t}\n\tservers {\n\t\ttrace\n\t}\n"
	config := auditSite(s, provider, echo(t).URL, "audit required\n\t\tshadow allow claim dept night\n\t\tmanage scope sessions:manage")
	s.start(strings.Replace(config, "SITE {", "SITE {\n\tlog\n", 1))
	s.waitLog("serving initial configuration") // with all apps
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate sessions:manage"})
	got := create(t, s.url, desk, `{"user_id":"alice","reason":"ticket"}`)
	wantStatus(t, got, 200)
	access, refresh := got.text("access_token"), got.text("refresh_token")
	next := s.refresh(refresh)
	s.refresh(refresh)
	for _, token := range []string{desk, access, refresh, next.text("refresh_token")} {
		s.call("GET", "?user_id=alice", token, "")
		s.call("GET", "/current", token, "")
		s.call("GET", "/"+got.text("session_id"), token, "")
		s.call("POST", "/current/refresh", token, `{"refresh_token":"`+token+`"}`)
		create(t, s.url, token, `{"user_id":"`+token[:200]+`","reason":"x"}`)
		create(t, s.url, token+"x", `{"user_id":"alice"}`)
		create(t, s.url, "x "+token, `{"user_id":"alice"}`)
		create(t, s.url, token, token)
		create(t, s.url, "", `{"user_id":"alice"}`, "Authorization", "Bearer"+token)
		create(t, s.url, "", `{"user_id":"alice"}`, "Cookie", "auth="+token)
		create(t, s.url, desk, `{"user_id":"alice","reason":"r"}`, "Idempotency-Key", strings.Repeat("k", 255))
	}
	s.call("DELETE", "?user_id=alice", desk, "")
	if err := s.reload(strings.Replace(config, "SITE {", "SITE {\n\tlog\n", 1)); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if line, found := leaked(s.auditText(), s.secrets()...); found {
		t.Errorf("in the audit: %s", line)
	}
	if n := len(s.secrets()); n < 3 {
		t.Errorf("only %d secrets are known: nothing was looked for", n)
	}
	if !strings.Contains(s.log.String(), `"logger":"http.log.access`) {
		t.Error("no access log")
	}
}

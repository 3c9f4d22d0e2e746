package sidecartest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// issued are the tokens that this run of the tests minted, or got from a sidecar: by a
// piece of each part that is not for everybody, the claims and the signature.
var issued struct {
	mu     sync.RWMutex
	pieces map[string]bool
}

// pieceSize is how much of a part is looked for: no part is shorter.
const pieceSize = 32

// Remember has a token that was issued searched for in what every sidecar writes. What is no
// token is not.
func Remember(token string) {
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

var (
	likeAToken  = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}`)
	privatePart = regexp.MustCompile(`"(?:d|k)":\s*"([A-Za-z0-9_-]{32,})"`)
)

// notEncoded reports whether a character is not of base64url.
func notEncoded(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
}

// Leaked finds a line with a token that was issued, with what looks like one, or with one of the
// secrets.
func Leaked(text string, secrets ...string) (line string, found bool) {
	issued.mu.RLock()
	defer issued.mu.RUnlock()
	for line := range strings.Lines(text) {
		if strings.Contains(line, "eyJ") && likeAToken.MatchString(line) {
			return line, true
		}
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				return line, true
			}
		}
		for run := range strings.FieldsFuncSeq(line, notEncoded) {
			for at := 0; at+pieceSize <= len(run); at++ {
				if issued.pieces[run[at:at+pieceSize]] {
					return line, true
				}
			}
		}
	}
	return "", false
}

// Secrets returns what the sidecar keeps secret in Caddy's storage: its private keys, and what
// ids of sessions are made with.
func (s *Sidecar) Secrets() (secrets []string) {
	files, _ := filepath.Glob(filepath.Join(s.Dir, "data", "caddy", "auth_sessions", "*", "*"))
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

// WantNoToken checks that nothing that the sidecar ever logged has a token or a secret in it.
func (s *Sidecar) WantNoToken() {
	s.t.Helper()
	secrets := s.Secrets()
	for _, log := range s.logs {
		if line, found := Leaked(log.String(), secrets...); found {
			s.t.Errorf("L1: a token or a secret is in the log:\n%s", line)
		}
	}
}

package sidecartest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Log returns what the process has written since it was started last. It comes through a pipe: see
// WaitLog.
func (s *Sidecar) Log() string {
	if len(s.logs) == 0 {
		return ""
	}
	return s.logs[len(s.logs)-1].String()
}

// WaitLog returns when the log has a line with all of the texts, and returns that line.
func (s *Sidecar) WaitLog(texts ...string) (line string) {
	s.t.Helper()
	log, late := s.logs[len(s.logs)-1], time.After(30*time.Second)
	for from := 0; ; {
		changed := log.Changed()
		text := log.String()
		if line, found := lineWith(text[from:], texts); found {
			return line
		}
		from = strings.LastIndexByte(text, '\n') + 1
		select {
		case <-changed:
		case <-late:
			s.t.Fatalf("no line with %q is in the log:\n%s", texts, s.Log())
		}
	}
}

func lineWith(text string, parts []string) (line string, found bool) {
lines:
	for line := range strings.Lines(text) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		return line, true
	}
	return "", false
}

// withoutTokens is the snippet with which the page about monitoring keeps tokens out of logs, where
// clients put them into URLs: Caddy logs these itself. All sidecars run with it.
var withoutTokens = sync.OnceValue(func() string {
	data, err := os.ReadFile(filepath.Join(Root(), "caddymodule", "docs", "monitoring.md"))
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

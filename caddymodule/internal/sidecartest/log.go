package sidecartest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Log returns the output of the process since its last start. It arrives through a pipe: see
// WaitLog.
func (s *Sidecar) Log() string {
	if len(s.logs) == 0 {
		return ""
	}
	return s.logs[len(s.logs)-1].String()
}

// WaitLog waits until the log has a line with all of the texts, and returns the line.
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

// withoutTokens is the snippet in the page about monitoring that removes tokens in URLs from
// Caddy's own logs. All sidecars run with it.
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

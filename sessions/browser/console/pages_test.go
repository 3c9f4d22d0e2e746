package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
)

// All that people load of us together is small.
func TestPages_AreSmallTogether(t *testing.T) {
	t.Parallel()
	total := 0
	for _, pattern := range []string{"../../*/*", "../../browser/*/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			switch filepath.Ext(file) {
			case ".html", ".css", ".js":
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				total += int(info.Size())
			}
		}
	}
	if total < 20_000 || total > 60_000 {
		t.Errorf("pages, styles and scripts have %d bytes together", total)
	}
}

func TestSpan_SaysTheTwoLargestUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 61 * time.Minute: "1 h 1 min", 2 * time.Hour: "2 h",
		25 * time.Hour: "1 d 1 h", 24 * time.Hour: "1 d", 241 * time.Hour: "10 d", 365 * 24 * time.Hour: "365 d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestDevice_IsTheBrowserAndTheSystem(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                   "Safari on Mac",
		"Mozilla/4.0": "a browser", "curl/8.5.0": "curl/8.5.0", "": "a program", strings.Repeat("é", 40): strings.Repeat("é", 30) + "…",
	} {
		if got := deviceOf(&sessions.Session{UserAgent: agent}); got != want {
			t.Errorf("%s: %s, want %s", agent, got, want)
		}
	}
}

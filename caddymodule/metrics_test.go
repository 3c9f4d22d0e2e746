package caddymodule_test

import (
	"net/http"
	"strings"
)

// scrape returns the metrics that the admin endpoint shows, by name and labels.
func (s *sidecar) scrape() map[string]string {
	s.t.Helper()
	req, err := http.NewRequest("GET", "http://"+s.admin+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	wantStatus(s.t, got, 200)
	metrics := make(map[string]string)
	for line := range strings.Lines(got.body) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			metrics[line[:at]] = line[at+1:]
		}
	}
	return metrics
}

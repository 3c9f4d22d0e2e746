package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var aProblem = regexp.MustCompile(`NewProblem\((\d{3}), "(\w+)"`)

// The table of errors has each code that our endpoints answer, in the row of its status.
func TestEndpoints_TheTableOfErrorsHasEachCode(t *testing.T) {
	page, err := os.ReadFile("endpoints.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Errors\n")
	rows := make(map[string]string)
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			rows[strings.TrimSpace(cells[1])] += cells[2]
		}
	}
	files, err := filepath.Glob("../../sessions/httpapi/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range aProblem.FindAllStringSubmatch(string(source), -1) {
			found++
			if status, code := match[1], match[2]; !strings.Contains(rows[status], "`"+code+"`") {
				t.Errorf("%s is not in the row of %s", code, status)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d problems", found)
	}
}

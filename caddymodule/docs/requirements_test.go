package docs

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tests of each requirement into requirements.md")

// A test says what it covers in the last line of its doc comment, as in "Covers V13, J5.", or by codes at
// the start of its name, as in TestV13_….
var (
	codeInName = regexp.MustCompile(`^(?:Test|Fuzz|Example)((?:_?[VMHUOSJL][0-9]+)+)_`)
	codeInLine = regexp.MustCompile(`^// Covers (.*)\.$`)
	aCode      = regexp.MustCompile(`[VMHUOSJL][0-9]+`)
	aRow       = regexp.MustCompile(`^\| ([VMHUOSJL][0-9]+) \|`)
)

// notOffered begins the last cell of a row about what this release does not offer.
const notOffered = "not offered"

// TestRequirements_EachHasATest keeps the last column of requirements.md: the tests of each row. With
// -update it writes the column; without, it fails where the page is not what the tests say.
func TestRequirements_EachHasATest(t *testing.T) {
	tests, err := coveringTests("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("requirements.md")
	if err != nil {
		t.Fatal(err)
	}
	written, problems := fillRows(string(page), tests)
	for _, problem := range problems {
		t.Error(problem)
	}
	if *update {
		if err := os.WriteFile("requirements.md", []byte(written), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if written != string(page) {
		t.Error("requirements.md does not name the tests as they are: run go test ./caddymodule/docs -update")
	}
}

func TestRequirements_ARowWithoutATestIsAnError(t *testing.T) {
	for _, c := range []struct {
		name, page, problem string
		tests               map[string][]string
	}{
		{"a row without a test", "| V1 | text | source | |", "V1 has no test", nil},
		{"a test of no row", "", "a test covers X1, which is no row", map[string][]string{"X1": {"TestA"}}},
		{"a row twice", "| V1 | a | b | |\n| V1 | c | d | |", "V1 stands twice", map[string][]string{"V1": {"TestA"}}},
		{"not offered, and tested", "| V1 | a | b | not offered: c |", "V1 is not offered, and tested by TestA", map[string][]string{"V1": {"TestA"}}},
	} {
		_, problems := fillRows(c.page, c.tests)
		if !slices.Contains(problems, c.problem) {
			t.Errorf("%s: got %q, want %q", c.name, problems, c.problem)
		}
	}
}

// fillRows returns the page with the tests in the last cell of each row, and what is wrong with it.
func fillRows(page string, tests map[string][]string) (string, []string) {
	var problems []string
	seen := make(map[string]bool)
	lines := strings.Split(page, "\n")
	for i, line := range lines {
		match := aRow.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		code := match[1]
		if seen[code] {
			problems = append(problems, code+" stands twice")
		}
		seen[code] = true
		cells := strings.Split(strings.TrimSuffix(line, "|"), " | ")
		last := strings.TrimSpace(cells[len(cells)-1])
		names := tests[code]
		switch {
		case strings.HasPrefix(last, notOffered):
			if len(names) > 0 {
				problems = append(problems, fmt.Sprintf("%s is not offered, and tested by %s", code, names[0]))
			}
			continue
		case len(names) == 0:
			problems = append(problems, code+" has no test")
		}
		cells[len(cells)-1] = strings.Join(names, ", ")
		lines[i] = strings.Join(cells, " | ") + " |"
	}
	for code := range tests {
		if !seen[code] {
			problems = append(problems, "a test covers "+code+", which is no row")
		}
	}
	slices.Sort(problems)
	return strings.Join(lines, "\n"), problems
}

// coveringTests returns the tests below root by the requirement that they cover: package and name, sorted.
func coveringTests(root string) (map[string][]string, error) {
	tests := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		room := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), root+"/")
		for _, declared := range file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok || function.Recv != nil {
				continue
			}
			for _, code := range coveredBy(function) {
				tests[code] = append(tests[code], fmt.Sprintf("[%s](../../%s)", function.Name.Name, room))
			}
		}
		return nil
	})
	for code := range tests {
		slices.Sort(tests[code])
		tests[code] = slices.Compact(tests[code])
	}
	return tests, err
}

func coveredBy(function *ast.FuncDecl) []string {
	var codes []string
	if match := codeInName.FindStringSubmatch(function.Name.Name); match != nil {
		codes = aCode.FindAllString(match[1], -1)
	}
	if function.Doc == nil {
		return codes
	}
	for _, line := range function.Doc.List {
		if match := codeInLine.FindStringSubmatch(line.Text); match != nil {
			codes = append(codes, aCode.FindAllString(match[1], -1)...)
		}
	}
	return codes
}

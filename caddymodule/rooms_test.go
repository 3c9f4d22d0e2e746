package caddymodule_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A room is the Go files of one folder.
type room struct{ files, tests []string }

// roomsBelow returns the packages of the module that are below a folder.
func roomsBelow(t *testing.T, top string) map[string]*room {
	t.Helper()
	rooms := make(map[string]*room)
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && path != top && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")) {
			return fs.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		dir := filepath.Dir(path)
		if rooms[dir] == nil {
			rooms[dir] = new(room)
		}
		if strings.HasSuffix(path, "_test.go") {
			rooms[dir].tests = append(rooms[dir].tests, path)
		} else {
			rooms[dir].files = append(rooms[dir].files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rooms
}

// has reports whether one of the files matches.
func has(t *testing.T, files []string, pattern *regexp.Regexp) bool {
	t.Helper()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if pattern.Match(data) {
			return true
		}
	}
	return false
}

var (
	packageComment = regexp.MustCompile(`(?m)^// Package \w+ .*\n(?://.*\n)*package `)
	exampleOutput  = regexp.MustCompile(`(?s)\nfunc Example\w*\(\) \{\n.*\t// Output:`)
)

// shown are the packages that show how they are used, in an example with its output.
var shown = []string{
	"caddymodule/adminapi", "caddymodule/backup", "caddymodule/cli", "caddymodule/cli/demoidp", "caddymodule/cli/explain", "caddymodule/config",
	"caddymodule/config/directive", "caddymodule/config/expression", "caddymodule/identity", "caddymodule/observe",
	"sessions", "sessions/audit", "sessions/bearer", "sessions/browser", "sessions/browser/banner", "sessions/browser/console", "sessions/browser/signin", "sessions/cors", "sessions/forward", "sessions/httpapi",
	"sessions/jose", "sessions/keyring", "sessions/oauthapi", "sessions/pebblestore", "sessions/revocation",
	"sessions/logout", "sessions/logoutapi",
	"sessions/rowcodec", "sessions/storetest", "sessions/streams", "sessions/strictjson", "sessions/urlpath",
}

// A package is small enough to be looked at, says what belongs in it, and shows how it is used.
func TestRooms_AreSmallAndExplainThemselves(t *testing.T) {
	t.Parallel()
	rooms := roomsBelow(t, "..")
	for _, dir := range shown {
		if rooms[filepath.Join("..", dir)] == nil {
			t.Errorf("there is no package %s", dir)
		}
	}
	for dir, room := range rooms {
		if len(room.files) == 0 {
			continue
		}
		if len(room.files) > 20 {
			t.Errorf("%s has %d files: find what could be a package of its own", dir, len(room.files))
		}
		if has(t, room.files, regexp.MustCompile(`(?m)^package main$`)) {
			continue
		}
		if !has(t, room.files, packageComment) {
			t.Errorf("%s has no package comment: say what belongs in it, in doc.go", dir)
		}
		name := strings.TrimPrefix(filepath.ToSlash(dir), "../")
		if slices.Contains(shown, name) && !has(t, room.tests, exampleOutput) {
			t.Errorf("%s has no example with its output", dir)
		}
	}
}

var method = regexp.MustCompile(`(?m)^func \((?:\w+ )?\*?(\w+)(?:\[\w+\])?\) \w+\(`)

// Whoever reads a type of the domain opens one file, or two.
func TestRooms_ATypeOfTheDomainLivesInOneFileOrTwo(t *testing.T) {
	t.Parallel()
	found := make(map[string][]string)
	for _, file := range roomsBelow(t, "../sessions")["../sessions"].files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range method.FindAllSubmatch(data, -1) {
			if name := string(match[1]); !slices.Contains(found[name], file) {
				found[name] = append(found[name], file)
			}
		}
	}
	if len(found["Manager"]) == 0 {
		t.Fatal("Manager has no methods")
	}
	for name, files := range found {
		if len(files) > 2 {
			t.Errorf("the methods of %s are in %v: find what could be a type of its own", name, files)
		}
	}
}

package caddymodule_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
		if entry != nil && entry.IsDir() && entry.Name() == "testdata" {
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

// A room is small enough to be looked at, says what belongs in it, and shows how it is used.
func TestRooms_AreSmallAndExplainThemselves(t *testing.T) {
	t.Parallel()
	rooms := roomsBelow(t, ".")
	if len(rooms) < 12 {
		t.Errorf("found %d packages", len(rooms))
	}
	for dir, room := range rooms {
		if len(room.files) == 0 {
			continue
		}
		if len(room.files) > 20 {
			t.Errorf("%s has %d files: find what could be a room of its own", dir, len(room.files))
		}
		if has(t, room.files, regexp.MustCompile(`(?m)^package main$`)) {
			continue
		}
		if !has(t, room.files, packageComment) {
			t.Errorf("%s has no package comment: say what belongs in it, in doc.go", dir)
		}
		if shown := map[string]bool{"config": true, "config/expression": true, "identity": true, "observe": true, "adminapi": true, "cli": true, "cli/explain": true, "backup": true}; shown[filepath.ToSlash(dir)] && !has(t, room.tests, exampleOutput) {
			t.Errorf("%s has no example with its output", dir)
		}
	}
}

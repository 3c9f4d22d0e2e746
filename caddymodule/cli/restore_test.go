package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/backup"
)

// A backup of files that are no store, or of none at all, is not made a store by restoring it.
func TestRestore_RefusesABackupOfNoStore(t *testing.T) {
	for name, files := range map[string][]string{"no files": nil, "other files": {"notes.txt"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte("a"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file, err := os.Create(filepath.Join(t.TempDir(), "backup.tar"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			if err := backup.Write(file, dir, "pebble", time.Now()); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			if out, err := runCommand(restoreCommand(), file.Name(), filepath.Join(parent, "sessions")); err == nil {
				t.Errorf("it was restored: %s", out)
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
				t.Errorf("left are %v, %v", left, err)
			}
		})
	}
}

// What holds no line of an audit is not one that nobody changed.
func TestAuditVerify_NoLineIsNoProof(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", empty}, {"verify", "--json", empty, empty}, {"verify", os.DevNull}} {
		out, err := runCommand(auditCommand(), args...)
		if err == nil || !strings.Contains(err.Error(), "nothing was verified") || strings.Contains(out, "as they were written") || strings.Contains(out, `"ok":true`) {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}
}

func TestRestore_RefusesABackupOfAnotherEngine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "backup.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := backup.Write(file, dir, "redis", time.Now()); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(t.TempDir(), "sessions")
	_, err = runCommand(restoreCommand(), file.Name(), into)
	if err == nil || !strings.Contains(err.Error(), "of a store redis") {
		t.Errorf("error %v, want one that names the engine", err)
	}
	if _, err := os.Lstat(into); err == nil {
		t.Error("it was restored")
	}
}

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/backup"
)

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

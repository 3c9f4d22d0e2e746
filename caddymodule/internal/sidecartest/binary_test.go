package sidecartest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBinary_GoesWithTheCheckout(t *testing.T) {
	t.Parallel()
	plain, err := cacheDir(nil)
	if err != nil {
		t.Fatal(err)
	}
	race, err := cacheDir([]string{"-race=true"})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{plain, race} {
		if filepath.Dir(dir) != filepath.Join(Root(), builds) {
			t.Errorf("it is in %s", dir)
		}
	}
	if plain == race {
		t.Error("builds with different flags replace each other")
	}
	ignored, err := os.ReadFile(filepath.Join(Root(), ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(ignored), "\n/"+builds+"/\n") {
		t.Errorf(".gitignore does not have %s", builds)
	}
}

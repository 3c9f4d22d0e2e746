package sidecartest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

// With another time, go test would run tests again though nothing has changed.
func TestBinary_HasItsTimeWhileItIsUpToDate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "caddy")
	old, now, later := time.Now().Add(-time.Hour), time.Now(), time.Now().Add(time.Hour)
	write := func(name string, at time.Time) error {
		if err := os.WriteFile(name, []byte("binary"), 0o700); err != nil {
			return err
		}
		return os.Chtimes(name, at, at)
	}
	for _, test := range []struct {
		build func() error
		want  time.Time
	}{
		{func() error { return write(file, old) }, old},
		{func() error { return os.Chtimes(file, now, now) }, old},
		{func() error { // as go build does where temporary files are on another disk
			return errors.Join(os.Remove(file), write(file, now))
		}, now},
		{func() error {
			if err := write(file+".new", later); err != nil {
				return err
			}
			return os.Rename(file+".new", file)
		}, later},
	} {
		if err := withoutTouching(file, test.build); err != nil {
			t.Fatal(err)
		}
		got, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if !got.ModTime().Equal(test.want) {
			t.Errorf("its time is %v, want %v", got.ModTime(), test.want)
		}
	}
}

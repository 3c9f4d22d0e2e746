package pebblestore

import (
	"path/filepath"
	"testing"
)

func TestIdentity_IsThatOfTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	identity := func(dir string) string {
		t.Helper()
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		first, err := s.Identity(ctx())
		if err != nil || len(first) < 8 {
			t.Fatalf("%q, %v", first, err)
		}
		if again, err := s.Identity(ctx()); again != first || err != nil {
			t.Errorf("first %q, then %q, %v", first, again, err)
		}
		return first
	}
	first := identity(dir)
	if again := identity(dir); again != first {
		t.Errorf("%q, and %q when it is opened again", first, again)
	}
	if other := identity(filepath.Join(t.TempDir(), "store")); other == first {
		t.Error("two stores are one")
	}
}

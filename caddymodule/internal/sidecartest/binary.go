package sidecartest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Root returns the top folder of the repository. Tests run in the folder of their package, which
// may be in a nested module.
var Root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "xcaddy.sh")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("no xcaddy.sh is in or above the working directory")
		}
		dir = filepath.Dir(dir)
	}
})

// Binary returns the Caddy binary that tests run: see Main.
func Binary(t testing.TB) string {
	t.Helper()
	if !own.Load() {
		return sharedBinary(t)
	}
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func sharedBinary(t testing.TB) string {
	t.Helper()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// binary builds it unless it is up to date. Processes take turns.
var binary = sync.OnceValues(func() (file string, err error) {
	if err := lookAtSources(); err != nil {
		return "", err
	}
	args := buildArgs()
	dir, err := cacheDir(args)
	if err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	file = filepath.Join(dir, "caddy")
	// Without what only debuggers read, it links in half of the time.
	build := exec.Command("go", append(append([]string{"build", "-ldflags=-s -w"}, args...), "-o", file, "./caddymodule/internal/sidecartest/testcaddy")...)
	build.Dir, build.Env = Root(), append(os.Environ(), "GOGC=100") // that of servertest.Main is for small heaps
	return file, withoutTouching(file, func() error {
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building Caddy: %w\n%s", err, out)
		}
		return nil
	})
})

// withoutTouching gives a file its time back unless build replaces it: go build touches what is up
// to date, and then go test would not use cached results.
func withoutTouching(file string, build func() error) error {
	known, err := os.Open(file) // while it is open, no file that replaces it has its inode
	if err != nil {
		return build()
	}
	defer func() { _ = known.Close() }()
	before, err := known.Stat()
	if err != nil {
		return err
	}
	if err := build(); err != nil {
		return err
	}
	after, err := os.Stat(file)
	if err != nil || !os.SameFile(before, after) {
		return err
	}
	return os.Chtimes(file, time.Time{}, before.ModTime())
}

// buildArgs returns the flags of go build with which this test was built.
func buildArgs() []string {
	var args []string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" || s.Key == "-tags" {
				args = append(args, s.Key+"="+s.Value)
			}
		}
	}
	return args
}

// builds is the folder for the binaries. It is in the checkout, so that it goes with it.
const builds = ".testcaddy"

// cacheDir returns the folder for the binary with these flags.
func cacheDir(args []string) (string, error) {
	dir := filepath.Join(Root(), builds, "caddy"+strings.Join(args, ""))
	return dir, os.MkdirAll(dir, 0o700)
}

// lookAtSources reads the folders of the binary's sources, so that go test does not use cached
// results after they change.
func lookAtSources() error {
	for _, top := range []string{"caddymodule", "sessions"} {
		err := filepath.WalkDir(filepath.Join(Root(), top), func(_ string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err := os.Stat(filepath.Join(Root(), "go.sum"))
	return err
}

package servertest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// needServers is the environment variable with which a missing program fails the test.
const needServers = "AUTHSIDECAR_NEED_SERVERS"

// Find returns the path of a program of a Debian package: its name, or patterns whose last match is
// the newest version. If the program is missing, the test is skipped.
func Find(t testing.TB, pkg string, patterns ...string) string {
	t.Helper()
	for _, pattern := range patterns {
		if path, err := exec.LookPath(pattern); err == nil {
			return path
		}
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	Missing(t, filepath.Base(patterns[0]), "apt-get install -y "+pkg)
	return ""
}

// Missing skips a test that needs something that is not installed, and says what to do. With
// needServers it fails the test instead.
func Missing(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv(needServers) == "1" {
		t.Fatalf("there is no %s here: %s", what, install)
	}
	t.Skipf("NOT TESTED: there is no %s here: %s", what, install)
}

// Unprivileged returns the user for a server that refuses to run as root; nil means the user of the
// test.
func Unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatal("there is no user postgres or nobody to run a server as")
	return nil
}

package servertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Disk mounts a disk of that size, such as "48m", until the test is over: as root, or with sudo if
// that needs no password. It returns the mount point.
func Disk(t testing.TB, size string) string {
	t.Helper()
	mount := Dir(t, "", nil)
	options := fmt.Sprintf("size=%s,mode=0777,uid=%d", size, os.Getuid())
	if out, err := asRoot(t.Context(), "mount", "-t", "tmpfs", "-o", options, "tmpfs", mount); err != nil {
		Missing(t, "right to mount a disk", fmt.Sprintf("run the test as root (%v: %s)", err, out))
	}
	t.Cleanup(func() {
		if out, err := asRoot(context.Background(), "umount", "-l", mount); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return mount
}

func asRoot(ctx context.Context, args ...string) ([]byte, error) {
	if os.Getuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	return exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
}

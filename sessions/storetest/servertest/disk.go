package servertest

import (
	"fmt"
	"os"
	"testing"
)

// Disk mounts a disk of that size, such as "48m", until the test is over, or this process ends: as
// root, or with sudo if that needs no password. It returns the mount point.
func Disk(t testing.TB, size string) string {
	t.Helper()
	mount := Dir(t, "", nil)
	options := fmt.Sprintf("size=%s,mode=0777,uid=%d", size, os.Getuid())
	end, printed, err := outlive(true, `mount -t tmpfs -o "$2" tmpfs "$1" && echo ready && cat && umount -l "$1"`, mount, options)
	if err != nil || end == nil {
		Missing(t, "right to mount a disk", fmt.Sprintf("run the test as root (%v: %s)", err, printed))
	}
	t.Cleanup(end)
	return mount
}

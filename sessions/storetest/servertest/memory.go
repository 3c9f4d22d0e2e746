package servertest

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	// memory is where the files of tests are if there is room: creating, syncing and removing many
	// takes a disk several times as long.
	memory = "/dev/shm"

	// room in bytes must be free there: the tests of one package take up to 500 MB at once, and some
	// packages are tested at once. In a Docker container /dev/shm has 64 MB, which two databases
	// fill.
	room = 2 << 30

	noExec = 8 // ST_NOEXEC of statfs(2)
)

// inMemory has this process, and those that it starts, keep temporary files in memory, unless
// somebody set TMPDIR.
func inMemory() {
	if os.Getenv("TMPDIR") != "" || !roomy(memory) {
		return
	}
	if dir, err := lastingDir(memory); err == nil {
		_ = os.Setenv("TMPDIR", dir) // fails only for invalid names
	}
}

// roomy reports whether dir is in memory, with enough free, and programs in it can be run.
func roomy(dir string) bool {
	var is unix.Statfs_t
	return unix.Statfs(dir, &is) == nil && is.Type == unix.TMPFS_MAGIC && is.Flags&noExec == 0 &&
		is.Bavail*uint64(is.Bsize) >= room
}

package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Lock is what the lock file of a server that runs, or was killed, says.
type Lock struct {
	PID     int
	Segment int // the id of its segment of System V shared memory
}

// Lock reads the lock file. It is gone if the server ended by itself.
func (s *Server) Lock() (lock Lock, err error) {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return lock, err
	}
	lines := append(strings.Split(string(text), "\n"), make([]string, 7)...)
	key := 0
	if _, err = fmt.Sscan(lines[0], &lock.PID); err == nil {
		_, err = fmt.Sscan(lines[6], &key, &lock.Segment)
	}
	return lock, err
}

// forget frees the shared memory of a server that was killed and not started again.
func (s *Server) forget() {
	if lock, err := s.Lock(); err == nil {
		_, _ = unix.SysvShmCtl(lock.Segment, unix.IPC_RMID, nil)
	}
}

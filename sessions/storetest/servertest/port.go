package servertest

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Port reserves a loopback port for a server that the test starts: the system gives it to nobody
// else during the test. The server's socket needs SO_REUSEADDR or SO_REUSEPORT, which servers set
// so that they can be restarted at once. Until it listens, connections are refused.
func Port(t testing.TB) int {
	t.Helper()
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			t.Fatal(err)
		}
	}
	// This socket is bound but never listens: it only keeps the system from selecting this port
	// again.
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return address.(*unix.SockaddrInet4).Port
}

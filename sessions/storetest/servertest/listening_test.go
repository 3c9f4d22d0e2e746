package servertest

import (
	"context"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListensTwice_SeesTwoSocketsOnOneAddress(t *testing.T) {
	t.Parallel()
	want := func(what string, pid int, want bool) {
		t.Helper()
		if got, err := ListensTwice(pid); err != nil || got != want {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "[::]"} {
		want("none", os.Getpid(), false)
		first := listen(t, host+":0")
		port := strconv.Itoa(first.Addr().(*net.TCPAddr).Port)
		want("one", os.Getpid(), false)
		conn, err := net.Dial("tcp", first.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		want("a connection of the same port", os.Getpid(), false)
		other := listen(t, "127.0.0.2:"+port)
		want("of different addresses", os.Getpid(), false)
		second := listen(t, host+":"+port)
		want("two", os.Getpid(), true)
		want("two of another process", os.Getppid(), false)
		for _, c := range []interface{ Close() error }{first, conn, other} {
			_ = c.Close()
		}
		want("the new one", os.Getpid(), false)
		_ = second.Close()
	}
}

// listen opens a socket that lets others listen on its address, as Caddy's do.
func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		if failed != nil {
			return failed
		}
		return err
	}}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

package servertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListensTwice reports whether two TCP sockets of a process listen on one address.
func ListensTwice(pid int) (bool, error) {
	sockets, err := listening()
	if err != nil {
		return false, fmt.Errorf("asking for the sockets that listen: %w", err)
	}
	for _, inodes := range sockets {
		if len(inodes) > 1 && ownsTwo(pid, inodes) {
			return true, nil
		}
	}
	return false, nil
}

// ownsTwo reports whether the process has two of the sockets open.
func ownsTwo(pid int, inodes map[string]bool) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	own := make(map[string]bool)
	for _, file := range files {
		if socket, err := os.Readlink(file); err == nil && inodes[socket] {
			own[socket] = true
		}
	}
	return len(own) > 1
}

// listening returns the TCP sockets of this machine that listen, by their addresses and then by
// their names in /proc/<pid>/fd. It asks by sock_diag(7): in /proc/net/tcp the kernel looks through
// its table of connections each time, which is large where there are none too.
func listening() (map[string]map[string]bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	sockets := make(map[string]map[string]bool)
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		if err := unix.Sendto(fd, request(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return nil, err
		}
		for more := true; more; {
			if more, err = receive(fd, sockets); err != nil {
				return nil, err
			}
		}
	}
	return sockets, nil
}

// request is a nlmsghdr and a inet_diag_req_v2: their sizes, and where fields are, are from
// linux/netlink.h and linux/inet_diag.h.
func request(family byte) []byte {
	const (
		header = unix.NLMSG_HDRLEN
		size   = header + 56
		listen = 10 // TCP_LISTEN
	)
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b, size)
	binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b[header], b[header+1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[header+4:], 1<<listen)
	return b
}

// receive adds the sockets of one datagram, and reports whether there are more.
func receive(fd int, sockets map[string]map[string]bool) (more bool, err error) {
	b := make([]byte, 64<<10)
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return false, err
	}
	messages, err := syscall.ParseNetlinkMessage(b[:n])
	if err != nil {
		return false, err
	}
	for _, m := range messages {
		switch {
		case m.Header.Type == unix.NLMSG_DONE:
			return false, nil
		case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
			return false, unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
		case m.Header.Type != unix.SOCK_DIAG_BY_FAMILY || len(m.Data) < 72:
			return false, errors.New("an answer that is no inet_diag_msg")
		}
		family, port, host := m.Data[:1], m.Data[4:6], m.Data[8:24]
		address := string(family) + string(port) + string(host)
		if sockets[address] == nil {
			sockets[address] = make(map[string]bool)
		}
		sockets[address][fmt.Sprintf("socket:[%d]", binary.NativeEndian.Uint32(m.Data[68:]))] = true
	}
	return true, nil
}

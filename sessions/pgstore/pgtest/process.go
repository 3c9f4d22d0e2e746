package pgtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// needServers makes the absence of a server a failure.
const needServers = "AUTHSIDECAR_NEED_SERVERS"

// find returns the newest of the programs that the patterns match, or skips the test.
func find(t testing.TB, install string, patterns ...string) string {
	t.Helper()
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern)
		for _, name := range slices.Backward(found) {
			if real, err := filepath.EvalSymlinks(name); err == nil {
				return real
			}
		}
	}
	if os.Getenv(needServers) == "1" {
		t.Fatalf("%s is not there: apt-get install -y %s", filepath.Base(patterns[0]), install)
	}
	t.Skipf("NOT TESTED: %s is not there: apt-get install -y %s", filepath.Base(patterns[0]), install)
	return ""
}

// credential is of whom servers run as: they refuse to be root. Nil is who tests.
func credential(t testing.TB) *syscall.Credential {
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

// directory makes one that the server owns, in a place that it can reach.
func directory(t testing.TB, in string, as *syscall.Credential) string {
	t.Helper()
	dir, err := os.MkdirTemp(in, "pgtest-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// A process is a server that dies with the test.
type process struct {
	cmd  *exec.Cmd
	out  lockedBuffer
	done chan struct{}
}

func launch(t testing.TB, as *syscall.Credential, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the process dies with the thread that started it
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	return p
}

// end sends a signal and waits until the process is gone.
func (p *process) end(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// family returns the process and its children.
func (p *process) family() []int {
	pids := []int{p.cmd.Process.Pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		rest := data[bytes.LastIndexByte(data, ')')+1:]
		fields := strings.Fields(string(rest))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if len(fields) > 1 && fields[1] == strconv.Itoa(p.cmd.Process.Pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (p *process) signal(sig syscall.Signal) {
	for _, pid := range p.family() {
		_ = syscall.Kill(pid, sig)
	}
}

// await waits until the address takes connections.
func await(t testing.TB, p *process, port int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-p.done:
			t.Fatalf("the server ended: %s", p.out.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("the server does not answer: %s", p.out.String())
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

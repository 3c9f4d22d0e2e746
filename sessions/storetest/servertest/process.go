package servertest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Log is output that may be read at any time.
type Log struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return l.buf.Write(p)
}

// Changed returns a channel that is closed when more is written.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// String returns all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A Process is a server. It ends with the test process at the latest.
type Process struct {
	Log  Log
	Done chan struct{} // closed when it has ended

	cmd *exec.Cmd
}

// Launch starts a server in a folder. When this process ends, it is sent attr.Pdeathsig; SIGKILL if
// attr is nil.
func Launch(t testing.TB, attr *syscall.SysProcAttr, dir, name string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(name, args...), Done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.Log, &p.Log
	if p.cmd.SysProcAttr = attr; attr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel kills the server when the thread that started it ends
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		close(p.Done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	return p
}

// End sends a signal, and returns when the process has ended.
func (p *Process) End(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.Done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.Done
	}
}

// Kill ends the process and its children, with all that they have in memory.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	p.End(syscall.SIGKILL)
}

// Freeze stops the process where it stands.
func (p *Process) Freeze() { p.Signal(syscall.SIGSTOP) }

// Thaw lets a process go on that was frozen.
func (p *Process) Thaw() { p.Signal(syscall.SIGCONT) }

// Signal sends a signal to the process and its children.
func (p *Process) Signal(sig syscall.Signal) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	own := strconv.Itoa(p.cmd.Process.Pid)
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// proc_pid_stat(5): the name, in parentheses, is followed by the state and the parent.
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if pid := filepath.Base(filepath.Dir(name)); pid == own || len(fields) > 1 && fields[1] == own {
			n, _ := strconv.Atoi(pid)
			_ = syscall.Kill(n, sig)
		}
	}
}

// WaitReady waits until ready returns nil. It fails the test if the process ends, or is not ready
// within half a minute.
func (p *Process) WaitReady(t testing.TB, ready func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-p.Done:
			t.Fatalf("the server ended: %s", p.Log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready: %v: %s", err, p.Log.String())
		}
	}
}

// Until calls try until it succeeds, and fails the test if it does not within a minute.
func Until(t testing.TB, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

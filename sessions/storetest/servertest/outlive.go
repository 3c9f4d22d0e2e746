package servertest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// outlive runs a shell script, with arguments, that says "ready" and then waits for the end of its
// standard input: of this process at the latest, however it ends. What the script does next is done
// even where tests are killed. It returns what begins that and waits for its end, or what was
// printed instead of "ready".
func outlive(root bool, script string, args ...string) (end func(), printed string, err error) {
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
	if root && os.Getuid() != 0 {
		cmd = exec.Command("sudo", append([]string{"-n"}, cmd.Args...)...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // who interrupts the tests interrupts their process group
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	end = func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "ready\n" {
		end()
		return nil, line, err
	}
	return end, "", nil
}

// lastingDir creates a folder in parent, "" for that of temporary files, which any user can reach.
// It is removed when this process ends, however it does.
func lastingDir(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "servertest-*")
	if err == nil {
		err = os.Chmod(dir, 0o755) // for servers that run as others
	}
	if err != nil {
		return "", err
	}
	// Servers that end with this process may still write.
	end, printed, err := outlive(false, `echo ready; cat; for i in $(seq 100); do rm -rf "$1" && break; sleep 0.1; done`, dir)
	if end == nil {
		return "", errors.Join(fmt.Errorf("nothing would remove %s: %s", dir, printed), err, os.Remove(dir))
	}
	lastingTB{}.Cleanup(end) // until then it is in use: otherwise the garbage collector closes the standard input
	return dir, nil
}

// folder is the folder of all that this process gives to servers.
var folder = sync.OnceValues(func() (string, error) { return lastingDir("") })

// Dir creates a folder for a server that runs as that user. It is removed after the test, and with
// this process at the latest. If parent is "", it is one that any user can reach.
func Dir(t testing.TB, parent string, as *syscall.Credential) string {
	t.Helper()
	var err error
	if parent == "" {
		if parent, err = folder(); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp(parent, "server-*")
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

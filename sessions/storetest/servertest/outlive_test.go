package servertest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// killed is the environment variable of a process that waits to be killed.
const killed = "AUTHSIDECAR_TEST_IS_KILLED"

// TestNothingIsLeftOfTestsThatAreKilled kills a process that has a folder, a disk and a server which
// cleans up when it is told to end.
func TestNothingIsLeftOfTestsThatAreKilled(t *testing.T) {
	disk := Disk(t, "1m") // or it is skipped
	if os.Getenv(killed) != "" {
		outside := os.Getenv(killed)
		p := Launch(t, &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}, Dir(t, "", nil), "sh", "-c",
			`trap 'rm "$1"; exit' QUIT; touch "$1"; while :; do sleep 0.01; done`, "sh", filepath.Join(outside, "memory"))
		p.WaitReady(t, func() error { _, err := os.Stat(filepath.Join(outside, "memory")); return err })
		fmt.Println("made", disk)
		select {}
	}
	outside := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), killed+"="+outside)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	other, made := strings.CutPrefix(strings.TrimSpace(line), "made ")
	if err := errors.Join(err, cmd.Process.Kill()); err != nil || !made {
		t.Fatal(line, err)
	}
	_ = cmd.Wait()
	Until(t, "all is gone", func() error {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil || !strings.Contains(string(mounts), disk) {
			t.Fatalf("the test's own disk is not there: %v", err)
		}
		if strings.Contains(string(mounts), other) {
			return errors.New("the disk is mounted")
		}
		for _, name := range []string{filepath.Dir(other), filepath.Join(outside, "memory")} {
			if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
				return errors.Join(fmt.Errorf("%s is there", name), err)
			}
		}
		return nil
	})
}

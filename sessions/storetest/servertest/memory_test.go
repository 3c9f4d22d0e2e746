package servertest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { Main(m) }

// saying makes TestTemporaryFiles_SaidByAChild say where they are, and wait.
const saying = "SERVERTEST_SAYING"

func TestTemporaryFiles_SaidByAChild(t *testing.T) {
	if os.Getenv(saying) != "1" {
		t.Skip("this is no child of another test")
	}
	os.Stdout.WriteString(os.TempDir() + "\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// child starts a test process, and returns where its temporary files are. end waits for its end.
func child(t *testing.T, tmpdir string, flags ...string) (dir string, process *os.Process, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestTemporaryFiles_SaidByAChild$"}, flags...)...)
	cmd.Env = append(os.Environ(), saying+"=1", "TMPDIR="+tmpdir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	t.Cleanup(end)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), cmd.Process, end
}

func TestTemporaryFiles_AreInMemoryAndGoWithTheProcess(t *testing.T) {
	t.Parallel()
	if !roomy(memory) {
		if dir, _, _ := child(t, ""); dir != "/tmp" {
			t.Errorf("without room in %s they are in %s", memory, dir)
		}
		t.Skip("not enough room in " + memory)
	}
	done, _, end := child(t, "")
	killed, process, _ := child(t, "")
	for _, dir := range []string{done, killed} {
		if _, err := os.Stat(dir); err != nil || filepath.Dir(dir) != memory {
			t.Fatalf("they are in %s: %v", dir, err)
		}
	}
	if done == killed {
		t.Error("two processes are in each other's way")
	}
	end()
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that ended left its folder: %v", err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	Until(t, "what a killed process left is removed", func() error {
		if _, err := os.Stat(killed); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s is there", killed), err)
		}
		return nil
	})
}

func TestTemporaryFiles_StayWhereSomebodySaysAndWithBenchmarks(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	if dir, _, _ := child(t, elsewhere); dir != elsewhere {
		t.Errorf("TMPDIR=%s: they are in %s", elsewhere, dir)
	}
	if dir, _, _ := child(t, "", "-test.bench=^None$"); dir != "/tmp" {
		t.Errorf("with benchmarks they are in %s", dir)
	}
}

func TestTemporaryFiles_AreNotInASmallMemoryNorOneWithoutPrograms(t *testing.T) {
	t.Parallel()
	small, large := Disk(t, "64m"), Disk(t, "8g") // which take no memory while they are empty
	if roomy(small) || !roomy(large) || roomy("/proc") || roomy(filepath.Join(small, "missing")) {
		t.Errorf("64 MB: %t, 8 GB: %t, another file system: %t, nothing: %t", roomy(small), roomy(large), roomy("/proc"), roomy(filepath.Join(small, "missing")))
	}
	if err := unix.Mount("", large, "", unix.MS_REMOUNT|unix.MS_NOEXEC, "size=8g"); err != nil {
		t.Skip("only root remounts")
	}
	if roomy(large) {
		t.Error("no program in it can be run")
	}
}

package servertest

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// Printed runs a server that prints its ports in a line, and that ends when its standard input
// does, and so with the test process. It returns the URLs of the ports.
func Printed(t testing.TB, cmd *exec.Cmd) (urls []string) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stop()
		t.Fatalf("%v: %v\n%s", cmd.Args, err, said.String())
	}
	t.Cleanup(stop)
	for port := range strings.FieldsSeq(line) {
		urls = append(urls, "http://127.0.0.1:"+port)
	}
	return urls
}

package caddymodule_test

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A provider without passwords is for this machine alone.
func TestDemoIDP_ListensOnThisMachineAlone(t *testing.T) {
	t.Parallel()
	s := sidecartest.New(t)
	const site = "http://127.0.0.1:8080/auth/sessions"
	for _, test := range []struct{ args, want string }{
		{"--listen 0.0.0.0:0 --site " + site, "write a loopback address"},
		{"--listen :0 --site " + site, "write a loopback address"},
		{"--listen 192.0.2.1:80 --site " + site, "write a loopback address"},
		{"--listen localhost:0 --site " + site, "write a loopback address"}, // whatever that leads to here
		{"", "--site is required, as in"},
		{"--person =x --site " + site, "has no name"},
	} {
		if got := s.Sessions("", append([]string{"demo-idp"}, strings.Fields(test.args)...)...); got.OK || !strings.Contains(got.Err, test.want) {
			t.Errorf("%s: %+v", test.args, got)
		}
	}
}

// It serves until it is asked to end, and with --with-parent no longer than what started it.
func TestDemoIDP_EndsWithWhatStartedIt(t *testing.T) {
	t.Parallel()
	s := sidecartest.New(t)
	args := []string{"auth-sessions", "demo-idp", "--listen", "127.0.0.1:0", "--site", "http://127.0.0.1:8080/auth/sessions", "--person", "carol"}
	ours := s.Command(args...)
	shell := exec.Command("sh", append([]string{"-c", `"$0" "$@" --with-parent & exec sleep 600`, ours.Path}, args...)...)
	shell.Env, shell.Dir = ours.Env, ours.Dir
	for _, test := range []struct {
		name string
		cmd  *exec.Cmd
		sig  syscall.Signal
	}{{"asked to", ours, syscall.SIGTERM}, {"its parent is killed", shell, syscall.SIGKILL}} {
		out, err := test.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := test.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = test.cmd.Process.Kill() })
		said := bufio.NewReader(out)
		line, err := said.ReadString('\n')
		if err != nil || !strings.Contains(line, "asks for no password") {
			t.Fatalf("%s: it says %q: %v", test.name, line, err)
		}
		issuer, _, _ := strings.Cut(line, " ")
		resp, err := http.Get(issuer + "/.well-known/openid-configuration")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", test.name, resp.Status)
		}
		if err := test.cmd.Process.Signal(test.sig); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(said); err != nil { // until nobody has it open
			t.Errorf("%s: %v", test.name, err)
		}
		if err := test.cmd.Wait(); (err == nil) != (test.sig == syscall.SIGTERM) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

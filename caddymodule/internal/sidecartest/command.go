package sidecartest

import (
	"bytes"
	"os/exec"
	"strings"
)

// An Outcome is the output of a command and whether it succeeded.
type Outcome struct {
	Out, Err string
	OK       bool
}

// Sessions runs caddy auth-sessions with these arguments and that standard input.
func (s *Sidecar) Sessions(stdin string, args ...string) Outcome {
	return s.RunSessions(func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader(stdin) }, args...)
}

// RunSessions runs caddy auth-sessions with these arguments; change may modify the command first.
func (s *Sidecar) RunSessions(change func(*exec.Cmd), args ...string) Outcome {
	cmd := s.Command(append([]string{"auth-sessions"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	change(cmd)
	err := cmd.Run()
	return Outcome{out.String(), errs.String(), err == nil}
}

// MustSessions runs caddy auth-sessions against the sidecar's admin endpoint, and returns its
// output. It ends the test if the command fails.
func (s *Sidecar) MustSessions(args ...string) string {
	s.t.Helper()
	got := s.Sessions("", append([]string{args[0], "--address", s.Admin}, args[1:]...)...)
	if !got.OK {
		s.t.Fatalf("%v: %s%s", args, got.Out, got.Err)
	}
	return got.Out
}

package sidecartest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"authsidecar/sessions/storetest/servertest"
)

// A Sidecar is Caddy with the module: a separate process that listens on loopback addresses.
type Sidecar struct {
	Dir    string   // HOME, XDG_* and working directory
	Admin  string   // host and port of the admin endpoint
	URL    string   // of the site
	Global string   // further lines of the global block
	Env    []string // further environment, as in NAME=value
	Client *http.Client

	t      testing.TB
	binary string
	cmd    *exec.Cmd
	logs   []*servertest.Log // of all its runs
	ended  chan struct{}
}

// New prepares a sidecar with its own folder. At the end of the test it is killed, and its output
// is searched for tokens and secrets.
func New(t testing.TB) *Sidecar {
	t.Helper()
	return prepare(t, Binary(t))
}

// NewFull is New with the shared binary, for what a lean build leaves out.
func NewFull(t testing.TB) *Sidecar {
	t.Helper()
	return prepare(t, sharedBinary(t))
}

func prepare(t testing.TB, binary string) *Sidecar {
	t.Helper()
	s := &Sidecar{
		Dir: t.TempDir(), Admin: "127.0.0.1:" + Port(t), URL: "http://127.0.0.1:" + Port(t),
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		t:      t, binary: binary,
	}
	t.Cleanup(func() {
		s.Kill()
		s.Client.CloseIdleConnections()
		s.WantNoToken()
	})
	return s
}

// Render returns a complete Caddyfile: SITE stands for the address of the site, and DIR for the
// folder.
func (s *Sidecar) Render(caddyfile string) string {
	return withoutTokens() + "{\n\tadmin " + s.Admin + "\n\tdefault_bind 127.0.0.1\n\tauto_https off\n\tskip_install_trust\n\tlog {\n\t\timport without_tokens\n\t\tlevel DEBUG\n\t}\n" + s.Global + "}\n" +
		strings.NewReplacer("SITE", "http://:"+PortOf(s.URL), "DIR", s.Dir).Replace(caddyfile)
}

// Command returns a command of this Caddy, as in caddy version, with the sidecar's environment.
func (s *Sidecar) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.binary, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(append(os.Environ(), s.Env...), asCaddy+"=1", "HOME="+s.Dir, "XDG_DATA_HOME="+s.Dir+"/data", "XDG_CONFIG_HOME="+s.Dir+"/config")
	return cmd
}

// Write writes a file into the folder, and returns its path.
func (s *Sidecar) Write(name, text string) string {
	s.t.Helper()
	file := filepath.Join(s.Dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// Start runs the process, and returns when the configuration is in force.
func (s *Sidecar) Start(caddyfile string) {
	s.t.Helper()
	s.Run(caddyfile)
	if err := s.Wait(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.Log())
	}
}

// Run starts the process without waiting for it.
func (s *Sidecar) Run(caddyfile string) {
	s.t.Helper()
	s.run(s.Command("run", "--config", s.Write("Caddyfile", s.Render(caddyfile)), "--adapter", "caddyfile"))
}

// StartCommand is Start with a command of this Caddy from Command.
func (s *Sidecar) StartCommand(cmd *exec.Cmd) {
	s.t.Helper()
	s.run(cmd)
	if err := s.Wait(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.Log())
	}
}

func (s *Sidecar) run(cmd *exec.Cmd) {
	s.t.Helper()
	s.cmd, s.ended = cmd, make(chan struct{})
	log := new(servertest.Log)
	s.logs = append(s.logs, log)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(s.cmd, s.ended)
}

// Wait waits until the configuration is in force. It returns an error if the process ends before.
func (s *Sidecar) Wait() error {
	log := s.logs[len(s.logs)-1]
	for {
		changed := log.Changed()
		if strings.Contains(log.String(), `"msg":"serving initial configuration"`) {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("caddy ended: %v", s.cmd.ProcessState)
		case <-changed:
		}
	}
}

// StartRefused runs the process, which must end by itself, and returns its log.
func (s *Sidecar) StartRefused(caddyfile string) string {
	s.t.Helper()
	s.Run(caddyfile)
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		s.t.Fatalf("it started:\n%s", s.Log())
	}
	if s.cmd.ProcessState.Success() {
		s.t.Fatalf("it ended well:\n%s", s.Log())
	}
	return s.Log()
}

// Kill kills the process, like a power failure, and waits for its end.
func (s *Sidecar) Kill() { s.end(syscall.SIGKILL) }

// Stop stops the process normally, and waits for its end.
func (s *Sidecar) Stop() { s.end(syscall.SIGTERM) }

func (s *Sidecar) end(sig os.Signal) {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(sig)
		<-s.ended
	}
	s.Client.CloseIdleConnections() // nobody is behind them any more
}

// Process returns the running process.
func (s *Sidecar) Process() *os.Process { return s.cmd.Process }

// Ended returns a channel that is closed when the process has ended; State is valid then.
func (s *Sidecar) Ended() <-chan struct{} { return s.ended }

// State returns how the process ended.
func (s *Sidecar) State() *os.ProcessState { return s.cmd.ProcessState }

package redistest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

// A Server is a Redis server that asks everybody for the password.
type Server struct {
	*servertest.Process // the one that runs, or ran last

	Port int

	dir  string
	conf string
	args []string
}

// Password is that of the default user.
const Password = "redis/test:pa55 word?@"

// Start starts a server in a new directory of its own. settings are lines of
// redis.conf. It persists nothing if they do not say so, and ends with the test.
func Start(t testing.TB, settings ...string) *Server { return StartIn(t, "", settings...) }

// StartIn is Start with the data under a directory: "" is the one for temporary files.
func StartIn(t testing.TB, in string, settings ...string) *Server {
	t.Helper()
	s := &Server{dir: servertest.Dir(t, in, nil), Port: servertest.Port(t)}
	s.start(t, append([]string{`save ""`, "requirepass " + quote(Password), "masterauth " + quote(Password)}, settings...))
	return s
}

// start writes redis.conf, and starts the server until the test ends.
func (s *Server) start(t testing.TB, settings []string) {
	t.Helper()
	s.conf = filepath.Join(s.dir, "redis.conf")
	lines := append([]string{"bind 127.0.0.1", "dir " + s.dir, "port " + strconv.Itoa(s.Port)}, settings...)
	if err := os.WriteFile(s.conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	s.Begin(t)
}

func quote(text string) string { return strconv.Quote(text) }

// Begin starts the server again, on the same port, with the data that it had.
func (s *Server) Begin(t testing.TB) {
	t.Helper()
	s.Process = servertest.Launch(t, nil, s.dir, find(t, "redis-server"), append([]string{s.conf}, s.args...)...)
	s.WaitReady(t, func() error {
		_, err := s.do("PING") // it may load its data
		return err
	})
}

// find returns where a program of Redis is.
func find(t testing.TB, name string) string {
	t.Helper()
	return servertest.Find(t, "redis-server", name)
}

// Kill ends the server, with all that is only in its memory. A child that it has while a replica joins
// ends by itself.
func (s *Server) Kill() { s.End(syscall.SIGKILL) }

// Stop ends the server as an operator does.
func (s *Server) Stop() { s.End(syscall.SIGTERM) }

// Dir is where the server keeps its data.
func (s *Server) Dir() string { return s.dir }

// Addr is where the server listens.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// URL leads to a database of the server.
func (s *Server) URL(database int) string { return URL(s.Port, "", Password, database) }

// URL makes one.
func URL(port int, user, password string, database int) string {
	u := url.URL{
		Scheme: "redis", User: url.UserPassword(user, password), Host: fmt.Sprintf("127.0.0.1:%d", port),
		Path: "/" + strconv.Itoa(database),
	}
	return u.String()
}

// Bench runs redis-benchmark and returns what it says.
func (s *Server) Bench(t testing.TB, args ...string) string {
	t.Helper()
	args = append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-a", Password}, args...)
	out, err := exec.Command(find(t, "redis-benchmark"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-benchmark: %v: %s", err, out)
	}
	return string(out)
}

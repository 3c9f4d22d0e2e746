package pgtest

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
	"time"
)

// A Server is a PostgreSQL server with fsync on, whose superuser is postgres, and
// which asks everybody for his password.
type Server struct {
	Port int

	bin  string
	dir  string
	as   *syscall.Credential
	proc *process
}

// Password is that of the superuser.
const Password = "pg/test:pa55 word?@"

// Start starts a server in a new directory of its own. settings are lines of
// postgresql.conf. It ends with the test.
func Start(t testing.TB, settings ...string) *Server { return StartIn(t, "", settings...) }

// StartIn is Start with the data under a directory: "" is the one for temporary files.
func StartIn(t testing.TB, in string, settings ...string) *Server {
	t.Helper()
	initdb := find(t, "postgresql", "/usr/lib/postgresql/*/bin/initdb", "/usr/local/pgsql/bin/initdb", "/usr/local/bin/initdb", "/usr/bin/initdb")
	s := &Server{bin: filepath.Dir(initdb), as: credential(t)}
	s.dir = directory(t, in, s.as)
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run(t, "initdb", "-D", s.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale", "C", "-N")
	settings = append([]string{"unix_socket_directories = ''", "listen_addresses = '127.0.0.1'", "max_connections = 200"}, settings...)
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Join(settings, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.Port = freePort(t)
	t.Cleanup(func() { s.Kill() })
	s.Begin(t)
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) run(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// Begin starts the server again, on the same port.
func (s *Server) Begin(t testing.TB) {
	t.Helper()
	s.proc = launch(t, s.as, s.dir, filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.Port))
	await(t, s.proc, s.Port)
	for deadline := time.Now().Add(30 * time.Second); ; {
		out, err := s.psql("postgres", "SELECT 1")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer: %s", out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop ends the server as an operator does who cannot wait: all connections are cut.
func (s *Server) Stop() { s.proc.end(syscall.SIGINT) }

// Kill ends the server with all that it has in memory.
func (s *Server) Kill() {
	s.proc.signal(syscall.SIGKILL)
	s.proc.end(syscall.SIGKILL)
}

// Freeze stops the server where it stands, Thaw lets it go on.
func (s *Server) Freeze() { s.proc.signal(syscall.SIGSTOP) }

// Thaw lets a server go on that was frozen.
func (s *Server) Thaw() { s.proc.signal(syscall.SIGCONT) }

// Log is what the server said.
func (s *Server) Log() string { return s.proc.out.String() }

// DSN is a URL of the database, as the superuser.
func (s *Server) DSN(database string) string { return s.DSNOf(database, "postgres", Password) }

// DSNOf is a URL of the database as somebody else.
func (s *Server) DSNOf(database, user, password string) string {
	return DSN(s.Port, database, user, password)
}

// DSN makes a URL.
func DSN(port int, database, user, password string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: fmt.Sprintf("127.0.0.1:%d", port),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Exec says SQL to a database as the superuser.
func (s *Server) Exec(t testing.TB, database, sql string) string {
	t.Helper()
	out, err := s.psql(database, sql)
	if err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
	return strings.TrimSpace(out)
}

func (s *Server) psql(database, sql string) (string, error) {
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
		"-p", strconv.Itoa(s.Port), "-U", "postgres", "-d", database)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+Password, "PGCONNECT_TIMEOUT=2")
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Bench runs pgbench on a database and returns what it says.
func (s *Server) Bench(t testing.TB, database string, args ...string) string {
	t.Helper()
	args = append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "postgres"}, append(args, database)...)
	cmd := exec.Command(filepath.Join(s.bin, "pgbench"), args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+Password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pgbench: %v: %s", err, out)
	}
	return string(out)
}

// Standby starts a server that follows this one, and that this one waits for: what it
// commits is on both.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby := &Server{bin: s.bin, as: s.as}
	standby.dir = directory(t, filepath.Dir(s.dir), s.as)
	cmd := exec.Command(filepath.Join(s.bin, "pg_basebackup"), "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "postgres",
		"-D", standby.data(), "-R", "-X", "stream", "-c", "fast")
	cmd.Dir, cmd.SysProcAttr, cmd.Env = standby.dir, &syscall.SysProcAttr{Credential: s.as}, append(os.Environ(), "PGPASSWORD="+Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	standby.Port = freePort(t)
	t.Cleanup(func() { standby.Kill() })
	standby.Begin(t)
	s.Exec(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
	s.Exec(t, "postgres", "SELECT pg_reload_conf()")
	return standby
}

// Promote makes a standby the primary, which waits for nobody.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.Exec(t, "postgres", "ALTER SYSTEM RESET synchronous_standby_names")
	s.Exec(t, "postgres", "SELECT pg_promote()")
}

// Revive starts the server again if it ended by itself, and waits until it answers.
func (s *Server) Revive(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case <-s.proc.done:
			s.proc = launch(t, s.as, s.dir, filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.Port))
		default:
		}
		if _, err := s.psql("postgres", "SELECT 1"); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the server does not come back: %s", s.Log())
}

// SmallDisk mounts a file system of so many megabytes in memory, and returns where. It
// skips the test where that is not allowed.
func SmallDisk(t testing.TB, megabytes int) string {
	t.Helper()
	dir := directory(t, "", credential(t))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0777", megabytes)); err != nil {
		t.Skipf("NOT TESTED: no file system can be mounted here (be root): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"authsidecar/sessions/storetest/servertest"
)

// A Server is a PostgreSQL server whose superuser is postgres, and which asks everybody for a
// password. It does not sync to the disk: the settings of a test that needs that say fsync = on.
type Server struct {
	*servertest.Process // the one that runs, or ran last

	Port int

	bin string
	dir string
	as  *syscall.Credential
}

// fresh is the data of a server that nobody used yet, which each server begins with a copy of.
var fresh = servertest.Shared[string]{Start: func(t testing.TB) string {
	s := &Server{bin: programs(t), as: servertest.Unprivileged(t)}
	s.dir = servertest.Dir(t, "", s.as)
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(verifier(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale", "C", "-N", "--wal-segsize", "1")
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.as}
	mustRun(t, cmd)
	return s.data()
}}

// programs is the folder of those of the server's version.
func programs(t testing.TB) string {
	t.Helper()
	initdb := servertest.Find(t, "postgresql", "/usr/lib/postgresql/*/bin/initdb", "/usr/local/pgsql/bin/initdb", "initdb")
	if real, err := filepath.EvalSymlinks(initdb); err == nil {
		initdb = real
	}
	return filepath.Dir(initdb)
}

// usual are the settings of a server that keeps nothing but its data folder, and that does no work
// beside that of the tests. In POSIX shared memory, the segments of a server that is killed stay.
var usual = []string{
	"unix_socket_directories = ''", "listen_addresses = '127.0.0.1'", "max_connections = 200",
	"dynamic_shared_memory_type = mmap", "shared_buffers = '64MB'", "huge_pages = off",
	"fsync = off", "full_page_writes = off", "wal_init_zero = off", "checkpoint_timeout = 1h", "max_wal_size = '1GB'",
	"autovacuum = off", "bgwriter_lru_maxpages = 0", "jit = off",
}

// Start starts a server in a new directory of its own. settings are lines of
// postgresql.conf. It ends with the test. The package needs [servertest.Main].
func Start(t testing.TB, settings ...string) *Server { return StartIn(t, "", settings...) }

// StartIn is Start with the data under a directory: "" is the one for temporary files.
func StartIn(t testing.TB, in string, settings ...string) *Server {
	t.Helper()
	s := &Server{bin: programs(t), as: servertest.Unprivileged(t)}
	s.dir = servertest.Dir(t, in, s.as)
	mustRun(t, osexec.Command("cp", "-a", fresh.Get(t), s.data()))
	settings = append(slices.Clone(usual), settings...)
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
	s.begin(t)
	return s
}

// begin starts the server until the test ends.
func (s *Server) begin(t testing.TB) {
	t.Helper()
	s.Port = servertest.Port(t)
	t.Cleanup(func() {
		s.End(atOnce)
		s.forget()
	})
	s.Begin(t)
}

// atOnce is the signal for an immediate shutdown: nothing is written, but shared memory is freed.
const atOnce = syscall.SIGQUIT

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command is a program of the server's, as its superuser.
func (s *Server) command(name string, args ...string) *osexec.Cmd {
	cmd := osexec.Command(filepath.Join(s.bin, name), append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "postgres"}, args...)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+Password)
	return cmd
}

// mustRun returns what the command says.
func mustRun(t testing.TB, cmd *osexec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", filepath.Base(cmd.Path), err, out)
	}
	return string(out)
}

func (s *Server) launch(t testing.TB) {
	// In a process group of its own, it still frees its memory where that of the tests is killed.
	attr := &syscall.SysProcAttr{Credential: s.as, Pdeathsig: atOnce, Setpgid: true}
	s.Process = servertest.Launch(t, attr, s.dir, filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.Port))
}

// answers returns nil where the server takes statements.
func (s *Server) answers() error {
	_, err := exec(s.DSN("postgres"), "SELECT 1")
	return err
}

// Begin starts the server again, on the same port.
func (s *Server) Begin(t testing.TB) {
	t.Helper()
	s.launch(t)
	s.WaitReady(t, s.answers)
}

// Kill ends the server that runs then with all that it has in memory.
func (s *Server) Kill() { s.Process.Kill() }

// Stop ends the server as an operator does who cannot wait: all connections are cut.
func (s *Server) Stop() { s.End(syscall.SIGINT) }

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

// Exec says SQL to a database as the superuser, and returns the rows of the answer: lines, whose
// columns are parted by "|".
func (s *Server) Exec(t testing.TB, database, sql string) string {
	t.Helper()
	out, err := exec(s.DSN(database), sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func exec(dsn, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	results, err := conn.Exec(ctx, sql).ReadAll()
	var lines []string
	for _, result := range results {
		for _, row := range result.Rows {
			lines = append(lines, string(bytes.Join(row, []byte("|"))))
		}
	}
	return strings.Join(lines, "\n"), err
}

// Bench runs pgbench on a database and returns what it says.
func (s *Server) Bench(t testing.TB, database string, args ...string) string {
	t.Helper()
	return mustRun(t, s.command("pgbench", append(args, database)...))
}

// Standby starts a server that follows this one, and that this one waits for: what it
// commits is on both.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby := &Server{bin: s.bin, as: s.as}
	standby.dir = servertest.Dir(t, filepath.Dir(s.dir), s.as)
	cmd := s.command("pg_basebackup", "-D", standby.data(), "-R", "-X", "stream", "-c", "fast")
	cmd.Dir, cmd.SysProcAttr = standby.dir, &syscall.SysProcAttr{Credential: s.as}
	mustRun(t, cmd)
	standby.begin(t)
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
	servertest.Until(t, "the server comes back", func() error {
		select {
		case <-s.Done:
			s.launch(t)
		default:
		}
		return s.answers()
	})
}

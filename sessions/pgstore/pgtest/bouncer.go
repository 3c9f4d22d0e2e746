package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

// Bouncer starts PgBouncer in transaction mode in front of the server, with so few connections that
// its clients share them, and returns its port.
func (s *Server) Bouncer(t testing.TB, settings string) int {
	t.Helper()
	name := servertest.Find(t, "pgbouncer", "pgbouncer", "/usr/sbin/pgbouncer")
	dir := servertest.Dir(t, "", s.as)
	port := servertest.Port(t)
	users := filepath.Join(dir, "users")
	config := filepath.Join(dir, "pgbouncer.ini")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(users, fmt.Sprintf("%q %q\n", "postgres", verifier(t)))
	write(config, fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = 3
max_client_conn = 500
%s
`, s.Port, port, users, settings))
	p := servertest.Launch(t, &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGKILL}, dir, name, config)
	t.Cleanup(func() { p.End(syscall.SIGKILL) })
	p.WaitReady(t, func() error {
		_, err := exec(DSN(port, "postgres", "postgres", Password), "SELECT 1")
		return err
	})
	return port
}

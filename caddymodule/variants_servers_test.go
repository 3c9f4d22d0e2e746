package caddymodule_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// routeOf is which route an app takes for a path, if it is by prefixes. It says so in
// X-Route.
func routeOf(path string) string {
	for _, r := range [...]struct{ prefix, name string }{
		{"/admin", "admin"}, {"/public/", "public"}, {"/billing", "billing"}, {"/account/delete", "delete"}, {"/auth/sessions", "sessions"},
	} {
		if strings.HasPrefix(path, r.prefix) {
			return r.name
		}
	}
	if strings.HasSuffix(path, ".css") {
		return "css"
	}
	return "other"
}

func goServer(t *testing.T) string {
	t.Helper()
	return sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Route", routeOf(r.URL.Path)) })
}

func serveMux(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, name := range map[string]string{
		"/admin": "admin", "/admin/": "admin", "/public/": "public", "/billing": "billing", "/billing/": "billing", "/account/delete": "delete", "/auth/sessions": "sessions",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Route", name) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name := "other"
		if strings.HasSuffix(r.URL.Path, ".css") {
			name = "css"
		}
		w.Header().Set("X-Route", name)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// node starts the two servers of routes.js: by URL, and of Express.
func node(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("node", "testdata/servers/routes.js")
	cmd.Env = append(os.Environ(), "NODE_PATH="+os.Getenv("NODE_PATH")+":/usr/share/nodejs")
	check := exec.Command("node", "-e", "require('express')")
	check.Env = cmd.Env
	if check.Run() != nil {
		servertest.Missing(t, "Node with Express", "apt-get install -y nodejs node-express")
	}
	return servertest.Printed(t, cmd)
}

func flask(t *testing.T) string {
	t.Helper()
	const python = "/usr/bin/python3" // where Debian's packages are
	if exec.Command(python, "-c", "import flask").Run() != nil {
		servertest.Missing(t, "Python with Flask", "apt-get install -y python3-flask")
	}
	return servertest.Printed(t, exec.Command(python, "testdata/servers/routes.py"))[0]
}

// phpFPM starts php-fpm, and returns its address.
func phpFPM(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/sbin/php-fpm*")
	if len(found) == 0 {
		servertest.Missing(t, "php-fpm", "apt-get install -y php-fpm")
	}
	dir, address := t.TempDir(), "127.0.0.1:"+sidecartest.Port(t)
	config := filepath.Join(dir, "fpm.conf")
	text := "[global]\nerror_log = /proc/self/fd/2\ndaemonize = no\n[www]\nlisten = " + address + "\npm = static\npm.max_children = 2\n"
	if os.Geteuid() == 0 {
		text += "user = nobody\ngroup = nogroup\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := servertest.Launch(t, nil, dir, found[0], "-F", "-n", "-y", config)
	t.Cleanup(func() { server.End(syscall.SIGTERM) })
	server.WaitReady(t, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return address
}

// phpRoot is where php-fpm finds the scripts, whoever it runs as.
func phpRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "php")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.CopyFS(dir, os.DirFS("testdata/servers/php")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asked sends a request as it is written, and returns the status and the route that the
// app took.
func asked(t *testing.T, base, method, target string, header ...string) (status int, route string) {
	t.Helper()
	request := method + " " + target + " HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\nConnection: close\r\n" + strings.Join(header, "\r\n") + strings.Repeat("\r\n", min(len(header), 1)) + "\r\n"
	lines := strings.Split(rawExchange(t, base, request), "\r\n")
	status, _ = strconv.Atoi(strings.Fields(lines[0])[1])
	for _, line := range lines {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "X-Route") {
			route = value
		}
	}
	return status, route
}

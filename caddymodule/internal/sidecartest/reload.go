package sidecartest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Reload loads another configuration into the running process, like caddy reload --force. It
// returns when the servers of the previous one no longer listen.
func (s *Sidecar) Reload(caddyfile string) error {
	req, err := newRequest("POST", "http://"+s.Admin+"/load", "", s.Render(caddyfile))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	got, err := Read(resp)
	if err != nil {
		return err
	}
	for s.listensTwice() { // after a refusal too, which may involve the admin endpoint
		time.Sleep(time.Millisecond) // polls another process
	}
	if got.Status != http.StatusOK {
		return fmt.Errorf("reloading: %d %s", got.Status, got.Body)
	}
	s.Client.CloseIdleConnections() // Caddy closes them too, sooner or later
	return nil
}

// listensTwice reports whether two sockets of the process listen on one address: Caddy starts the
// new server before it stops the old one, which resets connections that it has not accepted.
// Without /proc, the result is false.
func (s *Sidecar) listensTwice() bool {
	own := make(map[string]bool)
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.cmd.Process.Pid))
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil {
			own[target] = true
		}
	}
	return slices.ContainsFunc([]string{"tcp", "tcp6"}, func(family string) bool {
		file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", s.cmd.Process.Pid, family))
		if err != nil {
			return false
		}
		defer file.Close()
		return twice(file, own)
	})
}

// twice reports whether two of the sockets, by their names in /proc/<pid>/fd, listen on one address
// in a table of proc_pid_net(5). Listening sockets come first, and the kernel creates the table
// while it is read: reading thousands of connections after them would be slow.
func twice(table io.Reader, own map[string]bool) bool {
	const line = 150
	seen := make(map[string]bool)
	lines := bufio.NewScanner(table)
	lines.Buffer(make([]byte, line+1), 2*line)
	for lines.Scan() {
		// The second field is the local address, the fourth the state (0A means listening), and the
		// tenth the inode of the socket, as the first line says.
		f := strings.Fields(lines.Text())
		switch {
		case len(f) < 10 || f[0] == "sl":
			continue
		case f[3] != "0A":
			return false
		case !own["socket:["+f[9]+"]"]:
			continue
		case seen[f[1]]:
			return true
		}
		seen[f[1]] = true
	}
	return false
}

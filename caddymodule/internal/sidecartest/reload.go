package sidecartest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Reload gives the running process another configuration, as caddy reload --force does. It returns
// when the servers of the one before listen no more.
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
	if got.Status != http.StatusOK {
		return fmt.Errorf("reloading: %d %s", got.Status, got.Body)
	}
	for s.listensTwice() {
		time.Sleep(time.Millisecond) // polling what another process does in its own time
	}
	s.Client.CloseIdleConnections() // Caddy closes them too, sooner or later
	return nil
}

// listensTwice reports whether two sockets of the process listen on one address: Caddy has the new
// server listen before the old one ends, which resets connections that it did not accept yet.
// Where there is no /proc, it is never so.
func (s *Sidecar) listensTwice() bool {
	own := make(map[string]bool)
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.cmd.Process.Pid))
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil {
			own[target] = true
		}
	}
	seen := make(map[string]bool)
	for _, family := range []string{"tcp", "tcp6"} {
		table, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", s.cmd.Process.Pid, family))
		for line := range strings.Lines(string(table)) {
			// proc_pid_net(5): the second field is the local address, the fourth the state, of which 0A
			// is to listen, and the tenth the number of the socket.
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !own["socket:["+f[9]+"]"] {
				continue
			}
			if seen[f[1]] {
				return true
			}
			seen[f[1]] = true
		}
	}
	return false
}

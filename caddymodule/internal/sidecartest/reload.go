package sidecartest

import (
	"fmt"
	"net/http"
	"time"

	"authsidecar/sessions/storetest/servertest"
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
	if err := s.waitListeners(); err != nil { // after a refusal too, which may involve the admin endpoint
		return err
	}
	if got.Status != http.StatusOK {
		return fmt.Errorf("reloading: %d %s", got.Status, got.Body)
	}
	s.Client.CloseIdleConnections() // Caddy closes them too, sooner or later
	return nil
}

// waitListeners waits until no two sockets of the process listen on one address: Caddy starts the
// new server before it stops the old one, which resets connections that it has not accepted.
func (s *Sidecar) waitListeners() error {
	for {
		twice, err := servertest.ListensTwice(s.cmd.Process.Pid)
		if err != nil || !twice {
			return err
		}
		time.Sleep(time.Millisecond) // polls another process
	}
}

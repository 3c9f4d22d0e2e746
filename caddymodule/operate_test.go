package caddymodule_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

var (
	page      = regexp.MustCompile("(?m)^##+ (.*)$")
	pageBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
)

// The pages for on-call people are run from top to bottom, word for word, but for
// where their directories are, and for systemctl, chown and caddy, which stand in for
// those of a machine.
func TestOperate_PagesAreTried(t *testing.T) {
	t.Parallel()
	text := readRoot(t, "caddymodule/docs/operations.md")
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	m := newMachine(t, s, provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	m.sh("systemctl start caddy")
	m.wait()
	alice, desk := provider.Token("alice", nil), provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	s.Write("token", alice)
	sessions := make(map[string]sidecartest.Answer)
	make := func(name, token string) {
		t.Helper()
		sessions[name] = s.Create(token, `{"user_id":"alice"}`)
		sidecartest.WantStatus(t, sessions[name], 200)
	}
	refresh := func(name string, want int) {
		t.Helper()
		got := s.Refresh(sessions[name].Text("refresh_token"))
		sidecartest.WantStatus(t, got, want)
		if want == 200 {
			sessions[name] = got
		}
	}
	before := map[string]func(){
		"Back up": func() { make("before", alice) },
		"Restore": func() {
			make("after", alice)
			m.sh("echo damaged >/var/backups/auth_sessions-20200101T000000.000Z.tar") // one of several
		},
		"Revoke every impersonation now": func() { make("acted", desk) },
	}
	after := map[string]func(){
		"Back up":                        func() { m.sh("ls -l /var/backups/auth_sessions-keys.tar | grep '^-rw-------'") },
		"Restore":                        func() { refresh("before", 200); refresh("after", 400) },
		"Upgrade":                        func() { refresh("before", 200) },
		"Revoke every impersonation now": func() { refresh("before", 200); refresh("acted", 400) },
		"Rotate everything after a leak": func() { refresh("before", 400); make("new", alice) },
		"Move to another store": func() {
			m.config(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tstore pebble DIR/sessions"))
			m.sh("systemctl start caddy")
			m.wait()
			refresh("new", 200)
		},
	}
	titles := page.FindAllStringSubmatchIndex(text, -1)
	for i, at := range titles {
		end := len(text)
		if i+1 < len(titles) {
			end = titles[i+1][0]
		}
		title := text[at[2]:at[3]]
		if do := before[title]; do != nil {
			do()
		}
		for _, block := range pageBlock.FindAllStringSubmatch(text[at[1]:end], -1) {
			m.sh(block[1])
		}
		if do := after[title]; do != nil {
			do()
			delete(after, title)
		}
	}
	if len(after) > 0 {
		t.Errorf("pages that are not there: %v", after)
	}
	m.sh("systemctl stop caddy")
}

// A machine is a directory with the commands and the directories that the pages name.
type machine struct {
	t testing.TB
	s *sidecar
}

func newMachine(t testing.TB, s *sidecar, config string) *machine {
	t.Helper()
	m := &machine{t, s}
	for _, dir := range []string{"etc/caddy", "var/backups", "bin"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.config(config)
	m.script("bin/caddy", `exec `+s.Command().Path+` "$@"`)
	m.script("caddy", `exec `+s.Command().Path+` "$@"`)
	m.script("bin/chown", `[ -e "$3" ]`)
	m.script("bin/systemctl", `
case $1 in
stop) caddy stop ;;
start) caddy start --config "$HOME/etc/caddy/Caddyfile" >"$HOME/log" 2>&1 ;;
restart) caddy stop && exec "$0" start ;;
esac`)
	t.Cleanup(func() { _ = m.command("caddy stop").Run() })
	return m
}

func (m *machine) config(text string) { m.s.Write("etc/caddy/Caddyfile", m.s.Render(text)) }

func (m *machine) script(name, text string) {
	m.t.Helper()
	if err := os.Chmod(m.s.Write(name, "#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) command(text string) *exec.Cmd {
	dir := m.s.Dir
	text = strings.NewReplacer("/etc/caddy", dir+"/etc/caddy", "/var/backups", dir+"/var/backups", "/var/lib/caddy", dir, "/usr/bin/caddy", dir+"/bin/caddy").Replace(text)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = dir
	cmd.Env = append(m.s.Command().Env, "PATH="+dir+"/bin:"+os.Getenv("PATH"), "CADDY_ADMIN="+m.s.Admin, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=")
	return cmd
}

// wait returns when the configuration is in force.
func (m *machine) wait() {
	m.t.Helper()
	servertest.Until(m.t, "Caddy is there", func() error {
		got, err := m.s.TryAsk("GET", "status")
		if err == nil && got.Status == http.StatusServiceUnavailable {
			return errors.New(got.Body)
		}
		return err
	})
}

// sh runs commands as somebody would who pastes them.
func (m *machine) sh(text string) {
	m.t.Helper()
	if out, err := m.command(text).CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(m.s.Dir, "log"))
		m.t.Fatalf("%v of\n%s\n%s\n%s", err, text, out, log)
	}
}

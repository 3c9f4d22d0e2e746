package caddymodule_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/placeholder/placeholdertest"
	"authsidecar/caddymodule/internal/sidecartest"
)

// What the environment and files say is what the rules, the store and the keys go by.
func TestPlaceholders_AreResolvedWhenCaddyStarts(t *testing.T) {
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	for name, value := range map[string]string{
		"PH_SCOPE": "sessions:impersonate", "PH_ADMINS": "root admin-*", "PH_PLACE": s.Dir + "/elsewhere", "PH_DEPT": "support", "PH_AUDIENCE": sidecartest.Audience, "PH_AUDIT": s.Dir + "/audit.jsonl",
	} {
		t.Setenv(name, value)
	}
	s.Write("protected", "eve\nmallory\n")
	site := provider.Site(s.Sidecar, sidecartest.Echo(t), `allow claim dept {env.PH_DEPT}
		protect user {env.PH_ADMINS} {file.DIR/protected}
		store pebble {env.PH_PLACE}/db
		audit file {env.PH_AUDIT}`)
	site = strings.Replace(site, "allow scope sessions:impersonate", "allow scope {env.PH_SCOPE}", 1)
	s.Start(strings.Replace(site, "audience "+sidecartest.Audience, "audience {env.PH_AUDIENCE}", 1))

	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	support := provider.Token("dave", map[string]any{"dept": "support"})
	for _, token := range []string{desk, support} {
		sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 200)
		for _, user := range []string{"root", "admin-1", "ADMİN-2", "eve", "mallory"} {
			sidecartest.WantProblem(t, s.Create(token, `{"user_id":"`+user+`"}`), 403, "insufficient_scope")
		}
	}
	sidecartest.WantProblem(t, s.Create(provider.Token("mia", map[string]any{"scope": "{env.PH_SCOPE}", "dept": "{env.PH_DEPT}"}), `{"user_id":"alice"}`), 403, "insufficient_scope")
	for _, file := range []string{s.Dir + "/elsewhere/db/MANIFEST-000001", s.Dir + "/audit.jsonl"} {
		if found, err := filepath.Glob(strings.Replace(file, "000001", "*", 1)); err != nil || len(found) == 0 {
			t.Errorf("%s is not there: %v", file, err)
		}
	}
	if found, _ := filepath.Glob(s.Dir + "/{*"); len(found) != 0 {
		t.Errorf("%q was made of a placeholder", found)
	}
}

func TestPlaceholders_OneThatGivesNothingRefusesToStart(t *testing.T) {
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	t.Setenv("PH_EMPTY", "")
	s := newSidecar(t)
	texts, wants := make(map[string]string), make(map[string]string)
	for words, want := range map[string]string{
		"protect user {env.PH_NONE}":        "protect: {env.PH_NONE} gives nothing",
		"protect user {env.PH_EMPTY}":       "protect: {env.PH_EMPTY} gives nothing",
		"protect user {file.DIR/none}":      "gives nothing",
		"allow scope {env.PH_NONE}":         "allow 2 scope: {env.PH_NONE} gives nothing",
		"allow claim x {env.PH_NONE}":       "allow 2 claim value: {env.PH_NONE} gives nothing",
		"store pebble {env.PH_NONE}/db":     "store pebble: dir: {env.PH_NONE} gives nothing",
		"protect user {http.request.host}":  "{env.NAME}",
		"store pebble {http.request.host}":  "{env.NAME}",
		"allow scope x from {env.PH_NONE}":  "{$NAME}",
		"allow claim {env.PH_NONE} support": "{$NAME}",
	} {
		texts[words], wants[words] = provider.Site(s.Sidecar, "http://127.0.0.1:1", words), want
	}
	for words, got := range s.validateAll(texts) {
		if got.valid || !strings.Contains(got.said, wants[words]) {
			t.Errorf("%s: no %q in\n%s", words, wants[words], got.said)
		}
	}
	said := s.StartRefused(texts["protect user {env.PH_NONE}"])
	sidecartest.WantIn(t, said, wants["protect user {env.PH_NONE}"])
	if found, _ := filepath.Glob(s.Dir + "/{*"); len(found) != 0 {
		t.Errorf("%q was made", found)
	}
}

// L1: a secret that a placeholder gives is in no log, no error and no configuration that
// can be asked for.
func TestL1_WhatAPlaceholderGivesIsShownNowhere(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
	t.Setenv("PH_SECRET", secret)
	t.Setenv("PH_SHORT", "hunter2")
	s := newSidecar(t)
	if err := os.WriteFile(s.Dir+"/secret", []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	site := func(words string) string {
		return "SITE {\n\tauth_sessions {\n\t\tissuer https://app.example.com\n\t\ttrust https://idp.example.com {\n\t\t\taudience " + sidecartest.Audience + "\n\t\t\tsecret " + words + "\n\t\t}\n\t\tallow self\n\t}\n}\n"
	}
	for _, words := range []string{"{env.PH_SHORT}", "{env.PH_NONE}", "{file.DIR/none}"} {
		if log := s.StartRefused(site(words)); strings.Contains(log, "hunter2") {
			t.Errorf("%s: the secret is in the log:\n%s", words, log)
		}
	}
	for _, words := range []string{"{env.PH_SECRET}", "{file.DIR/secret}"} {
		s.Start(site(words))
		resp, err := http.Get("http://" + s.Admin + "/config/")
		if err != nil {
			t.Fatal(err)
		}
		config, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || strings.Contains(string(config), "hunter2") || !strings.Contains(string(config), strings.ReplaceAll(words, "DIR", s.Dir)) {
			t.Errorf("%v: the configuration is\n%s", err, config)
		}
		s.Kill()
		if strings.Contains(s.Log(), "hunter2") {
			t.Errorf("the secret is in the log:\n%s", s.Log())
		}
	}
}

// What is a module of its own keeps none either.
func TestPlaceholders_NoTextOfAModuleKeepsOne(t *testing.T) {
	placeholdertest.Run(t, func(s *caddymodule.PebbleStore) error { return s.Provision(caddy.Context{}) }, nil)
	placeholdertest.Run(t, func(m *caddymodule.MatchImpersonated) error { return m.Validate() }, nil)
}

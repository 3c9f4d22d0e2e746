package caddymodule_test

import (
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// An app that would be open to all because something answers before auth_sessions is refused, and
// the configuration that serves goes on; what answers some requests, or goes on, may stand there.
func TestReach_WhatAnswersEverythingMayNotStandBeforeIt(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	app := sidecartest.Echo(t)
	site := provider.Site(s.Sidecar, app, "identity {\n\t\t\trequire\n\t\t}")
	s.Start(site)
	before, rest, _ := strings.Cut(site, "\tauth_sessions {")
	block, after, _ := strings.Cut("\tauth_sessions {"+rest, "\treverse_proxy")
	proxy := "\treverse_proxy " + strings.TrimPrefix(app, "http://") + "\n"
	for name, test := range map[string]struct{ text, by string }{
		"reverse_proxy in a route":      {before + "route {\n" + proxy + block + "}\n}\n", "reverse_proxy"},
		"respond in a route":            {before + "route {\nrespond hello\n" + block + "}\n}\n", "respond"},
		"error in a route":              {before + "route {\nerror 404\n" + block + "}\n}\n", "error"},
		"a handle for all in a route":   {before + "route {\nhandle {\n" + proxy + "}\n" + block + "}\n}\n", "reverse_proxy"},
		"a handle_path for all":         {before + "route {\nroute {\n" + proxy + "}\n" + block + "}\n}\n", "reverse_proxy"},
		"a handle before it":            {before + "handle {\n" + proxy + "}\nroute {\n" + block + "}\n}\n", "reverse_proxy"},
		"itself first in a route":       {before + "route {\n" + block + proxy + "}\n}\n", ""},
		"respond on a path":             {before + "route {\nrespond /robots.txt ok\n" + block + proxy + "}\n}\n", ""},
		"forward_auth":                  {before + "route {\nforward_auth " + strings.TrimPrefix(app, "http://") + " {\nuri /ask\n}\n" + block + proxy + "}\n}\n", ""},
		"a handle_path of its own":      {before + "handle_path /api/* {\n" + block + proxy + "}\nhandle {\nrespond static\n}\n}\n", ""},
		"another site with another app": {before + block + "\treverse_proxy" + after + "\nhttp://127.0.0.3:" + sidecartest.PortOf(s.URL) + " {\nrespond x\n}\n", ""},
	} {
		err := s.Reload(test.text)
		switch {
		case test.by == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.by != "" && (err == nil || !strings.Contains(err.Error(), "https://app.example.com is never reached: "+test.by+" stands before it")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// In handle_path the block sees the path without the prefix; deny looks at that, and at the path
// that the client sent.
func TestReach_InHandlePathBothPathsCount(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := provider.Site(s.Sidecar, sidecartest.Echo(t), "identity\n\t\timpersonation {\n\t\t\tdeny /billing/*\n\t\t}")
	before, rest, _ := strings.Cut(site, "\tauth_sessions {")
	s.Start(before + "handle_path /api/* {\n\tauth_sessions {\n" + strings.TrimSuffix(strings.TrimSpace(rest), "}") + "}\n}\n")
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	req, err := s.TryCreateAt(s.URL+"/api", desk, `{"user_id":"alice","reason":"ticket"}`)
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, req, 200)
	token := "Bearer " + req.Text("access_token")
	sidecartest.WantStatus(t, s.through("GET", "/api/hello", "Authorization", token), 200)
	for path, code := range map[string]string{"/api/billing/card": "deny", "/api//billing/card": "path_variant"} {
		got := s.through("GET", path, "Authorization", token)
		sidecartest.WantStatus(t, got, 403)
		sidecartest.WantFields(t, got, map[string]any{"code": code})
	}
}

package caddymodule_test

import (
	"slices"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// An app that would be open to all because something answers before auth_sessions is refused, and
// the configuration that serves goes on; what answers some requests, or goes on, may stand there.
func TestReach_WhatAnswersEverythingMayNotStandBeforeIt(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newFullSidecar(t)
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
		"invoke of what answers all":    {"&(app) {\n" + proxy + "}\n" + before + "route {\ninvoke app\n" + block + "}\n}\n", "reverse_proxy"},
		"invoke of one that goes on":    {"&(app) {\nheader X-A b\n}\n" + before + "route {\ninvoke app\n" + block + proxy + "}\n}\n", ""},
		"invoke beside it":              {"&(app) {\n" + proxy + "}\n" + before + block + "invoke app\n}\n", ""},
		"invoke that invokes itself":    {"&(app) {\nroute {\nheader X-A b\ninvoke app\n}\n}\n" + before + block + "invoke app\n}\n", ""},
		"abort in a route":              {before + "route {\nabort\n" + block + "}\n}\n", "respond"},
		"file_server in a route":        {before + "route {\nroot * DIR\nfile_server\n" + block + "}\n}\n", "file_server"},
		"a matcher of every path":       {before + "route {\nreverse_proxy /* " + strings.TrimPrefix(app, "http://") + "\n" + block + "}\n}\n", "reverse_proxy"},
		"an app whose errors are ours":  {before + "route {\n" + strings.TrimSuffix(proxy, "\n") + " {\n@bad status 5xx\nhandle_response @bad {\nrespond oops\n}\n}\n" + block + "}\n}\n", "reverse_proxy"},
		"copied answers":                {before + "route {\n" + strings.TrimSuffix(proxy, "\n") + " {\nhandle_response {\ncopy_response\n}\n}\n" + block + "}\n}\n", "reverse_proxy"},
		"php_fastcgi in a route":        {before + "route {\nroot * DIR\nphp_fastcgi 127.0.0.1:1\n" + block + "}\n}\n", "php_fastcgi"},
		"php_fastcgi or else 404":       {before + "route {\nroot * DIR\nphp_fastcgi 127.0.0.1:1 {\ntry_files {path} {path}/index.php =404\n}\n" + block + proxy + "}\n}\n", "php_fastcgi"},
		"php_fastcgi without an index":  {before + "route {\nroot * DIR\nphp_fastcgi 127.0.0.1:1 {\nindex off\n}\n" + block + proxy + "}\n}\n", ""},
		"scripts of an older app":       {before + "route {\n@php path *.php\nreverse_proxy @php 127.0.0.1:1 {\ntransport fastcgi\n}\n" + block + proxy + "}\n}\n", ""},
		"php_fastcgi on a path":         {before + "route {\nroot * DIR\nphp_fastcgi /old/* 127.0.0.1:1\n" + block + proxy + "}\n}\n", ""},
		"an app whose errors are seen":  {before + "route {\n" + strings.TrimSuffix(proxy, "\n") + " {\n@bad status 5xx 500\nhandle_response @bad {\nheader X-A b\n}\n}\n" + block + "}\n}\n", "reverse_proxy"},
		"files of another server":       {before + "route {\nreverse_proxy 127.0.0.1:1 {\n@none status 404\nhandle_response @none {\nheader X-A b\n}\n}\n" + block + proxy + "}\n}\n", ""},
		"a handle for the site's host":  {strings.Replace(before, "SITE", "http://a.example:"+sidecartest.PortOf(s.URL), 1) + "@a host a.example\nhandle @a {\n" + proxy + "}\nhandle {\n" + block + proxy + "}\n}\n", "reverse_proxy"},
		"a handle for another host":     {strings.Replace(before, "SITE", "http://a.example:"+sidecartest.PortOf(s.URL)+", http://b.example:"+sidecartest.PortOf(s.URL), 1) + "@a host a.example\nhandle @a {\n" + proxy + "}\nhandle {\n" + block + proxy + "}\n}\n", ""},
		"a path of the site's host":     {strings.Replace(before, "SITE", "http://a.example:"+sidecartest.PortOf(s.URL), 1) + "@a {\nhost a.example\npath /x\n}\nhandle @a {\n" + proxy + "}\nhandle {\n" + block + proxy + "}\n}\n", ""},
		"a host that nobody knows yet":  {before + "@a host {env.HOST}\nhandle @a {\n" + proxy + "}\nhandle {\n" + block + proxy + "}\n}\n", ""},
		"file_server that passes on":    {before + "route {\nroot * DIR\nfile_server {\npass_thru\n}\n" + block + proxy + "}\n}\n", ""},
		"early hints":                   {before + "route {\nrespond 103\n" + block + proxy + "}\n}\n", ""},
		"itself first in a route":       {before + "route {\n" + block + proxy + "}\n}\n", ""},
		"respond on a path":             {before + "route {\nrespond /robots.txt ok\n" + block + proxy + "}\n}\n", ""},
		"forward_auth":                  {before + "route {\nforward_auth " + strings.TrimPrefix(app, "http://") + " {\nuri /ask\n}\n" + block + proxy + "}\n}\n", ""},
		"auth that refuses some paths":  {before + "route {\nreverse_proxy 127.0.0.1:1 {\n@good status 2xx\nhandle_response @good {\nerror /private* 403\n}\n}\n" + block + proxy + "}\n}\n", ""},
		"auth that refuses all":         {before + "route {\nreverse_proxy 127.0.0.1:1 {\n@good status 2xx\nhandle_response @good {\nrespond /x no\nerror 403\n}\n}\n" + block + proxy + "}\n}\n", "reverse_proxy"},
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

// Two realms of one host whose cookies have one name would sign people out of each other; those of two
// sites share nothing.
func TestReach_CookiesOfTwoRealmsHaveTwoNames(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	app := sidecartest.Echo(t)
	words := sidecartest.Lifecycle + "\n\t\tidentity\n\t\tbrowser"
	site := provider.Site(s.Sidecar, app, words)
	s.Start(site)
	head, rest, _ := strings.Cut(site, "\tauth_sessions {")
	block, tail, _ := strings.Cut("\tauth_sessions {"+rest, "\treverse_proxy")
	other := func(cookie string) string {
		return strings.NewReplacer("issuer "+sidecartest.Issuer, "issuer "+sidecartest.OtherIssuer+"\n\t\tpath /other/sessions", "browser", "browser {\n\t\t\tcookie "+cookie+"\n\t\t}").Replace(block)
	}
	end := "\treverse_proxy" + tail
	two, _ := provider.TwoSites(s.Sidecar, app, words)
	port, port2 := sidecartest.PortOf(s.URL), sidecartest.Port(t)
	a, b, c := "http://a.example:"+port, "http://b.example:"+port, "http://c.example:"+port
	for name, test := range map[string]struct{ text, clash string }{
		"both the default":            {head + block + other("__Host-session") + end, "__Host-session"},
		"the one's is the other's as": {head + block + other("__Host-session-as") + end, "__Host-session-as"},
		"on two paths":                {head + "handle /a/* {\n" + block + end + "handle {\n" + other("__Host-session") + end + "}\n", "__Host-session"},
		"two names":                   {head + block + other("__Host-other") + end, ""},
		"the same realm on two paths": {head + "handle /a/* {\n" + block + end + "handle {\n" + block + end + "}\n", ""},
		"two sites":                   {two, ""},
		"two hosts": {strings.Replace(head, "SITE", a, 1) + block + end +
			strings.Replace(head, "SITE", b, 1) + other("__Host-session") + end, ""},
		"two hosts, one of them twice": {strings.Replace(head, "SITE", a+", "+c, 1) + block + end +
			strings.Replace(head, "SITE", b, 1) + block + other("__Host-session") + end, "__Host-session"},
		"two hosts of one site": {strings.Replace(head, "SITE", a+", "+b, 1) + "@a host a.example\n@b host b.example\nhandle @a {\n" + block + end + "handle @b {\n" + other("__Host-session") + end + "}\n", ""},
		"a host, and all others that are like it": {strings.Replace(head, "SITE", a, 1) + block + end +
			strings.Replace(head, "SITE", "http://*.example:"+port, 1) + other("__Host-session") + end, ""},
		"a host, and all others": {strings.Replace(head, "SITE", a, 1) + block + end +
			strings.Replace(head, "SITE", "http://:"+port, 1) + other("__Host-session") + end, ""},
		"a host's handle, and that for all others": {strings.Replace(head, "SITE", "http://*.example:"+port, 1) +
			"@a host a.example\nhandle @a {\n" + block + end + "handle {\n" + other("__Host-session") + end + "}\n", ""},
		"a host's path, and all that are like it": {strings.Replace(head, "SITE", "http://*.example:"+port, 1) +
			"@a {\nhost a.example\npath /a/*\n}\nhandle @a {\n" + block + end + "handle {\n" + other("__Host-session") + end + "}\n", "__Host-session"},
		"a host, and all that are like it at another port": {strings.Replace(head, "SITE", a, 1) + block + end +
			strings.Replace(head, "SITE", "http://*.example:"+port2, 1) + other("__Host-session") + end, "__Host-session"},
		"one host at two ports": {strings.Replace(head, "SITE", a, 1) + block + end +
			strings.Replace(head, "SITE", "http://a.example:"+port2, 1) + other("__Host-session") + end, "__Host-session"},
		"two hosts at two ports": {strings.Replace(head, "SITE", a, 1) + block + end +
			strings.Replace(head, "SITE", "http://b.example:"+port2, 1) + other("__Host-session") + end, ""},
		"one issuer's host at two ports": {head + block + end + strings.NewReplacer("SITE", "http://:"+port2).Replace(head) +
			strings.Replace(other("__Host-session"), sidecartest.OtherIssuer, sidecartest.Issuer+":8443", 1) + end, "__Host-session"},
		"behind an app's answers":   {strings.TrimSuffix(strings.TrimSpace(site), "}") + "handle /b/* {\nreverse_proxy 127.0.0.1:1 {\nhandle_response {\n" + other("__Host-session") + "}\n}\n}\n}\n", "__Host-session"},
		"in the handling of errors": {strings.TrimSuffix(strings.TrimSpace(site), "}") + "handle_errors {\n" + other("__Host-session") + "}\n}\n", "__Host-session"},
	} {
		switch err := s.Reload(test.text); {
		case test.clash == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.clash != "" && (err == nil || !strings.Contains(err.Error(), "have cookies of one name on one host, "+test.clash+": in one of them write another")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A configuration that is only validated is refused as one that is loaded, also where JSON has our
// handler in a named route, which no Caddyfile can have.
func TestReach_ValidateRefusesWhatALoadDoes(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity\n\t\tbrowser")
	adapted := func(caddyfile string) string {
		out, err := s.Command("adapt", "--config", s.Write("Caddyfile", s.Render(caddyfile)), "--adapter", "caddyfile").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	open := adapted(strings.Replace(site, "\tauth_sessions", "\troute {\n\trespond open\n\tauth_sessions", 1) + "}\n")
	one := adapted("&(other) {\nrespond NAMED\n}\n" + strings.Replace(site, "\treverse_proxy", "\tinvoke other\n\treverse_proxy", 1))
	_, handler, _ := strings.Cut(one, `{"allow":`)
	handler, _, _ = strings.Cut(handler, `]},{"handler":"invoke"`)
	handler = strings.Replace(`{"allow":`+handler+"]}", sidecartest.Issuer, sidecartest.OtherIssuer, 1)
	named := strings.Replace(one, `{"body":"NAMED","handler":"static_response"}`, handler, 1)
	for name, test := range map[string]struct{ config, want string }{
		"one that is never reached": {open, "is never reached: respond stands before it"},
		"a named route of another":  {named, "have cookies of one name on one host, __Host-session: in one"},
	} {
		out, err := s.Command("validate", "--config", s.Write("config.json", test.config)).CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if out, err := s.Command("validate", "--config", s.Write("config.json", one)).CombinedOutput(); err != nil {
		t.Errorf("what is right: %v\n%s", err, out)
	}
}

// aSite returns a site at a.example up to its block, and the block with those words.
func aSite(t *testing.T, s *sidecar, words string) (before, block string) {
	t.Helper()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	before, rest, _ := strings.Cut(strings.Replace(provider.Site(s.Sidecar, "http://127.0.0.1:1", words), "SITE", "http://a.example:1", 1), "\tauth_sessions {")
	block, _, _ = strings.Cut("\tauth_sessions {"+rest, "\treverse_proxy")
	return before, block
}

// Requests that get to an app without the block that guards it for others would bring forged headers
// there: each way of them is warned of.
func TestReach_AWayToTheAppThatNothingGuards(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	before, block := aSite(t, s, "identity")
	const app, other = "reverse_proxy 127.0.0.1:1\n", "reverse_proxy 127.0.0.1:2\n"
	tests := map[string]struct{ text, want string }{
		"none":                            {before + block + app + "}\n", ""},
		"on a path":                       {before + "handle /api/* {\n" + block + app + "}\nhandle {\n" + app + "}\n}\n", "requests for a.example at 127.0.0.1:1 can reach"},
		"on a path, another app":          {before + "handle /api/* {\n" + block + app + "}\nhandle {\n" + other + "}\n}\n", ""},
		"where the block is on a path":    {before + "handle /api/* {\n" + block + "}\n" + app + "}\n", "requests for a.example at 127.0.0.1:1 can reach"},
		"by a matcher before":             {before + "route {\n@all path_regexp .*\nreverse_proxy @all 127.0.0.1:1\n" + block + app + "}\n}\n", "requests for a.example at 127.0.0.1:1 can reach"},
		"at another site":                 {before + block + app + "}\nhttp://b.example:1, http://c.example:1 {\n" + app + "}\n", "requests for b.example, c.example at 127.0.0.1:1 can reach"},
		"at all other sites":              {before + block + app + "}\nhttp://:1 {\n" + app + "}\n", "requests for all hosts at 127.0.0.1:1 can reach"},
		"at a host that nobody knows yet": {before + "route {\n@x host {env.HOST}\nreverse_proxy @x 127.0.0.1:1\n" + block + app + "}\n}\n", "requests for some hosts at 127.0.0.1:1 can reach"},
		"at another port":                 {before + block + app + "}\nhttp://a.example:2 {\n" + app + "}\n", "requests for a.example at 127.0.0.1:2 can reach"},
		"another app at all other sites":  {before + block + app + "}\nhttp://:1 {\n" + other + "}\n", ""},
		"with a block at all other sites": {before + block + app + "}\nhttp://:1 {\n" + block + app + "}\n", ""},
		"a block that tells no app":       {strings.Replace(before+block, "identity", "", 1) + app + "}\nhttp://:1 {\n" + app + "}\n", ""},
		"in shadow mode":                  {strings.Replace(before+block, "identity", "identity {\nshadow\n}", 1) + app + "}\nhttp://:1 {\n" + app + "}\n", ""},
		"by forward_auth":                 {before + "route {\nforward_auth 127.0.0.1:1 {\nuri /ask\n}\n" + block + app + "}\n}\n", "requests for a.example at 127.0.0.1:1 can reach"},
		"by forward_auth of another":      {before + "route {\nforward_auth 127.0.0.1:2 {\nuri /ask\n}\n" + block + app + "}\n}\n", ""},
		"on error routes":                 {before + block + app + "handle_errors {\n" + app + "}\n}\n", ""},
		"by a snippet of the block":       {"(guard) {\n" + block + "}\n" + before + "handle /api/* {\nimport guard\n" + app + "}\nhandle {\nimport guard\n" + app + "}\n}\n", ""},
	}
	texts := make(map[string]string)
	for name, test := range tests {
		texts[name] = test.text
	}
	for name, got := range s.validateAll(texts) {
		test := tests[name]
		if !got.valid {
			t.Errorf("%s: it is not valid\n%s", name, got.said)
		}
		var found []string
		for line := range strings.Lines(got.said) {
			if strings.Contains(line, "without the auth_sessions of "+sidecartest.Issuer) {
				found = append(found, line)
			}
		}
		if test.want == "" && found != nil || test.want != "" && (len(found) != 1 || !strings.Contains(found[0], test.want)) {
			t.Errorf("%s: want %q, got %q", name, test.want, found)
		}
	}
}

// Of two blocks that a request passes, only the endpoints of the first answer at a path of both.
func TestReach_EndpointsThatAnotherBlockHides(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	before, block := aSite(t, s, "")
	second := strings.Replace(block, sidecartest.Issuer, "https://other.example.com", 1)
	with := func(block, words string) string {
		return strings.Replace(block, "\tauth_sessions {", "\tauth_sessions {\n"+words, 1)
	}
	elsewhere := with(second, "path /other/sessions")
	oauth := func(block, path string) string {
		return with(block, "oauth {\npath "+path+"\nclient my-app {\npublic\n}\n}")
	}
	tests := map[string]struct{ text, at string }{
		"one after the other":    {before + block + second + "}\n", "/auth/sessions"},
		"the same twice":         {before + block + block + "}\n", "/auth/sessions"},
		"in a route":             {before + "route {\n" + block + second + "}\n}\n", "/auth/sessions"},
		"in other letters":       {before + block + with(second, "path /AUTH/sessions") + "}\n", "/AUTH/sessions"},
		"below the first":        {before + with(block, "path /auth\nlifecycle") + second + "}\n", "/auth/sessions"},
		"OAuth at one path":      {before + oauth(block, "/oauth") + oauth(elsewhere, "/OAuth") + "}\n", "/OAuth"},
		"OAuth below the first":  {before + with(block, "lifecycle") + oauth(elsewhere, "/auth/sessions/oauth") + "}\n", "/auth/sessions/oauth"},
		"below one path alone":   {before + with(block, "path /auth") + second + "}\n", ""},
		"above the first":        {before + with(block, "lifecycle") + with(second, "path /auth\nlifecycle") + "}\n", ""},
		"at another path":        {before + oauth(block, "/oauth") + oauth(elsewhere, "/other/oauth") + "}\n", ""},
		"on two paths":           {before + "handle_path /a/* {\n" + block + "}\nhandle_path /b/* {\n" + second + "}\n}\n", ""},
		"the first is on a path": {before + "route {\nroute /a/* {\n" + block + "}\n" + second + "}\n}\n", ""},
		"at another site":        {before + block + "}\nhttp://b.example:1 {\n" + second + "}\n", ""},
	}
	texts := make(map[string]string)
	for name, test := range tests {
		texts[name] = test.text
	}
	for name, got := range s.validateAll(texts) {
		if !got.valid {
			t.Errorf("%s: it is not valid\n%s", name, got.said)
		}
		_, at, warned := strings.Cut(got.said, "has its endpoints at ")
		at, _, _ = strings.Cut(at, ", where those of "+sidecartest.Issuer+" before it answer")
		if want := tests[name].at; at != want || warned != (want != "") {
			t.Errorf("%s: warned of %q, want %q\n%s", name, at, want, got.said)
		}
	}
}

// A host for people at which no site answers is warned of, with the mend.
func TestReach_AHostOfBrowserThatNoSiteHas(t *testing.T) {
	t.Parallel()
	s := newSidecar(t)
	warned := func(addresses string) (found []string) {
		config := addresses + ` {
	auth_sessions {
		issuer https://app.example.com
		trust https://idp.example.com {
			audience https://app.example.com/auth/sessions
		}
		allow self
		lifecycle
		identity
		browser {
			impersonate_on https://as.example.com
			console https://console.example.com
			sign_in https://idp.example.com {
				client_id site
			}
		}
	}
	respond app
}
`
		out, err := s.Command("validate", "--config", s.Write("Caddyfile", s.Render(config)), "--adapter", "caddyfile").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", addresses, err, out)
		}
		for line := range strings.Lines(string(out)) {
			if _, text, ok := strings.Cut(line, `"msg":"browser: `); ok {
				text, _, _ = strings.Cut(text, `"`)
				found = append(found, text)
			}
		}
		return found
	}
	warning := func(word, origin string) string {
		return word + " " + origin + ": no site with this auth_sessions has that host, so nobody gets there; add it to the addresses of the site, as in: https://app.example.com, " + origin + " { ... }"
	}
	console, impersonate := warning("console", "https://console.example.com"), warning("impersonate_on", "https://as.example.com")
	for addresses, want := range map[string][]string{
		"http://app.example.com": {console, impersonate},
		"http://app.example.com, http://as.example.com, http://other.example.com": {console},
		"http://app.example.com, http://*.example.com":                            nil,
		"http://": nil,
	} {
		if got := warned(addresses); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", addresses, got, want)
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

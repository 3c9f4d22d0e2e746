package caddymodule_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/storetest/servertest"
)

// Whoever signs out everywhere is out in all browsers, and nobody else is; whoever acts as somebody
// cannot do that to them.
func TestBrowser_Everywhere(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "require", "browser")
	alice := idp.Token("alice", nil)
	here, there, bob, acting := s.newPerson(), s.newPerson(), s.newPerson(), s.newPerson()
	for _, p := range []*person{here, there} {
		p.signIn(alice, `{"user_id":"alice"}`)
	}
	bob.signIn(idp.Token("bob", nil), `{"user_id":"bob"}`)
	acting.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
	got := acting.send("POST", "/auth/sessions/close", "everywhere=true")
	sidecartest.WantStatus(t, got, 403)
	sidecartest.WantStatus(t, acting.do("GET", "/app"), 200)
	sidecartest.WantStatus(t, there.do("GET", "/app"), 200)
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got = here.send("POST", "/auth/sessions/close", "everywhere=true&return_to=%2Fbye%3Fx%3D1")
	sidecartest.WantStatus(t, got, 303)
	sidecartest.WantHeaders(t, got, "Location", "/bye?x=1", "Cache-Control", "no-store")
	for what, p := range map[string]*person{"here": here, "there": there, "who acts as them": acting} {
		if got := p.do("GET", "/app"); got.Status != 401 || !p.has() {
			t.Errorf("%s: %d, cookies %v", what, got.Status, p.copy())
		}
	}
	sidecartest.WantStatus(t, bob.do("GET", "/app"), 200)
}

// A way back that leads elsewhere is not taken, and whoever asks for it is signed out all the same.
func TestBrowser_ClosingLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, to := range []string{"//evil.example.com", `/\evil.example.com`, "https:evil.example.com", "https://evil.example.com", "/%0d%0aLocation:%20x", "/\t/evil", strings.Repeat("/a", 1500)} {
		p := s.newPerson()
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
		got := p.send("POST", "/auth/sessions/close", "return_to="+strings.ReplaceAll(to, "%", "%25"))
		if got.Status != 303 || got.Header.Get("Location") != "/" || !p.has() {
			t.Errorf("%q: %d %v", to, got.Status, got.Header)
		}
	}
	p := s.newPerson()
	for body, status := range map[string]int{"a=b": 400, "return_to=/&return_to=/": 400, "everywhere=false": 400, "{}": 415, "return_to=" + strings.Repeat("a", 5000): 413} {
		if got := p.send("POST", "/auth/sessions/close", body); got.Status != status {
			t.Errorf("%.20s: %d, want %d", body, got.Status, status)
		}
	}
	sidecartest.WantStatus(t, p.do("GET", "/auth/sessions/close"), 405)
}

const cachingProxy = `daemon off;
USER
pid DIR/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path DIR/a;
	proxy_temp_path DIR/b;
	fastcgi_temp_path DIR/c;
	uwsgi_temp_path DIR/d;
	scgi_temp_path DIR/e;
	proxy_cache_path DIR/cache keys_zone=all:1m;
	server {
		listen 127.0.0.1:PORT;
		location / {
			proxy_pass SITE;
			proxy_cache all;
			proxy_cache_valid any 1h;
			add_header X-Cache $upstream_cache_status;
			MORE
		}
	}
}
`

// startNginx starts nginx as a shared cache in front of a site, and returns its URL.
func startNginx(t *testing.T, site, more string) string {
	t.Helper()
	program := servertest.Find(t, "nginx-light", "nginx", "/usr/sbin/nginx")
	dir, port := t.TempDir(), sidecartest.Port(t)
	user := ""
	if os.Getuid() == 0 { // or its workers would be nobody, who cannot enter the folder
		user = "user root;"
	}
	conf := strings.NewReplacer("USER", user, "DIR", dir, "PORT", port, "SITE", site, "MORE", more).Replace(cachingProxy)
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return startCache(t, port, program, "-p", dir, "-c", dir+"/nginx.conf")
}

// cachingRules have Varnish look into its cache whatever cookies a request has.
const cachingRules = `vcl 4.1;
backend default {
	.host = "127.0.0.1";
	.port = "PORT";
}
sub vcl_recv {
	return (hash);
}
sub vcl_backend_response {
	MORE
}
sub vcl_deliver {
	if (obj.hits > 0) {
		set resp.http.X-Cache = "HIT";
	}
}
`

// startVarnish is startNginx of Varnish.
func startVarnish(t *testing.T, site, more string) string {
	t.Helper()
	program := servertest.Find(t, "varnish", "varnishd", "/usr/sbin/varnishd")
	dir, port := t.TempDir(), sidecartest.Port(t)
	rules := strings.NewReplacer("PORT", sidecartest.PortOf(site), "MORE", more).Replace(cachingRules)
	if err := os.WriteFile(dir+"/rules.vcl", []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return startCache(t, port, program, "-F", "-j", "none", "-n", dir+"/work", "-a", "127.0.0.1:"+port, "-f", dir+"/rules.vcl", "-s", "default,10m")
}

// startCache starts the program of a cache, and returns its URL once it answers.
func startCache(t *testing.T, port, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	url := "http://127.0.0.1:" + port
	waitUntil(t, "the cache answers", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, url+"/waiting", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Timeout: time.Second}).Do(req)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
	return url
}

// A shared cache in front never keeps what sets our cookies or is for one person, though it keeps
// whatever it may; one that takes cookies out of what it keeps signs nobody out.
func TestBrowser_ASharedCacheInFront(t *testing.T) {
	t.Parallel()
	app := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/public" {
			w.Header().Set("Cache-Control", "public, max-age=3600")
			w.Header().Set("X-Accel-Expires", "3600")
		}
		_, _ = io.WriteString(w, "for "+r.Header.Get("X-Auth-User"))
	})
	for what, start := range map[string]func(t *testing.T, site string) string{
		"nginx": func(t *testing.T, site string) string { return startNginx(t, site, "") },
		"nginx that takes cookies out": func(t *testing.T, site string) string {
			return startNginx(t, site, "proxy_ignore_headers Set-Cookie; proxy_hide_header Set-Cookie;")
		},
		"Varnish":                        func(t *testing.T, site string) string { return startVarnish(t, site, "") },
		"Varnish that takes cookies out": func(t *testing.T, site string) string { return startVarnish(t, site, "unset beresp.http.Set-Cookie;") },
	} {
		t.Run(what, func(t *testing.T) {
			s, idp := browserSiteOf(t, app, "", "browser")
			p := s.newPerson()
			p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
			s.URL = start(t, s.URL)
			for range 4 {
				for _, path := range []string{"/private", "/public?rotated"} {
					p.forget(cookie)
					got := p.do("GET", strings.TrimSuffix(path, "?rotated"))
					if got.Status != 200 || got.Body != "for alice" || got.Header.Get("X-Cache") == "HIT" {
						t.Errorf("%s: %d %s %v", path, got.Status, got.Body, got.Header)
					}
				}
			}
			if got := s.through("GET", "/private"); got.Body != "for " {
				t.Errorf("nobody gets %q", got.Body)
			}
			if got := s.through("GET", "/public"); len(got.Header["Set-Cookie"]) != 0 || got.Body != "for " {
				t.Errorf("the cache kept an answer that set cookies: %v", got.Header)
			}
			sidecartest.WantHeaders(t, s.through("GET", "/public"), "X-Cache", "HIT") // it does keep what it may
		})
	}
}

package caddymodule_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A guarded site runs with identity. Its app counts what reached it.
type guarded struct {
	*sidecar
	app   *httptest.Server
	count atomic.Int64
	imp   string // access token of an impersonation of alice by the desk
	own   string // access token of alice's own
	idp   *sidecartest.IDP
}

// startGuarded starts a site with words in its impersonation block, and directives
// behind auth_sessions, in which APP stands for the app.
func startGuarded(t *testing.T, words, directives string) *guarded {
	t.Helper()
	g := &guarded{sidecar: newSidecar(t), idp: sidecartest.NewIDP(t, "https://idp.example.com")}
	g.app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.count.Add(1)
		if r.Header.Get("X-Fail") != "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		fmt.Fprintf(w, "%s %s\n", r.Method, r.RequestURI)
		_ = r.Header.Write(w)
	}))
	t.Cleanup(g.app.Close)
	g.Global = "\tservers {\n\t\tprotocols h1 h2c\n\t}\n"
	g.Start(g.site(words, directives))
	g.imp = g.session(`{"user_id":"alice","reason":"ticket 4711"}`, g.idp.Token("desk", map[string]any{"scope": "sessions:impersonate"})).Text("access_token")
	g.own = g.session(`{"user_id":"alice"}`, g.idp.Token("alice", nil)).Text("access_token")
	return g
}

// put loads the site with other words and directives, for a part of the test.
func (g *guarded) put(t *testing.T, words, directives string) {
	t.Helper()
	g.t = t
	if err := g.Reload(g.site(words, directives)); err != nil {
		t.Fatal(err)
	}
}

func (g *guarded) site(words, directives string) string {
	site := g.idp.Site(g.Sidecar, g.app.URL, "lifecycle\n\t\tidentity\n\t\timpersonation {\n"+words+"\n\t\t}")
	before, _, _ := strings.Cut(site, "\treverse_proxy ")
	return before + strings.ReplaceAll(directives, "APP", strings.TrimPrefix(g.app.URL, "http://")) + "\n}\n"
}

func (g *guarded) session(body, token string) sidecartest.Answer {
	g.t.Helper()
	got := g.Create(token, body)
	sidecartest.WantStatus(g.t, got, 200)
	return got
}

// ask sends a request of a session, and reports whether it reached the app.
func (g *guarded) ask(token, method, path string, header ...string) (got sidecartest.Answer, reached bool) {
	g.t.Helper()
	req, err := http.NewRequest(method, g.URL+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header[header[i]] = []string{header[i+1]}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	before := g.count.Load()
	resp, err := client.Do(req)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return sidecartest.Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(data)}, g.count.Load() > before
}

func (g *guarded) expect(what string, token, method, path string, status int, reached bool, header ...string) sidecartest.Answer {
	g.t.Helper()
	got, did := g.ask(token, method, path, header...)
	if got.Status != status || did != reached {
		g.t.Errorf("%s: %s %s: %d, reached the app: %t; want %d, %t", what, method, path, got.Status, did, status, reached)
	}
	return got
}

func TestDeny_HoldsWhateverTheOrderOfDirectives(t *testing.T) {
	t.Parallel()
	const denied = "deny /billing/* /account/delete"
	g := startGuarded(t, denied, "respond 503")
	for _, site := range []struct {
		name, directives string
		passed           int
		reached          bool
	}{
		{"reverse_proxy", "reverse_proxy APP", 200, true},
		{"a catch-all handle", "handle {\n\treverse_proxy APP\n}", 200, true},
		{"handles for what is denied", "handle /billing/* {\n\treverse_proxy APP\n}\nhandle {\n\treverse_proxy APP\n}", 200, true},
		{"a handle_path", "handle_path /* {\n\treverse_proxy APP\n}", 200, true},
		{"a catch-all route", "route {\n\treverse_proxy APP\n}", 200, true},
		{"a catch-all redir", "redir https://elsewhere.example.com{uri}", 302, false},
		{"a catch-all rewrite", "rewrite * /index.php?{query}\nreverse_proxy APP", 200, true},
		{"a catch-all respond", "respond 200", 200, false},
		{"a header and an encoding", "header X-A b\nencode\nreverse_proxy APP", 200, true},
	} {
		t.Run(site.name, func(t *testing.T) {
			g.put(t, denied, site.directives)
			g.expect("an impersonation, denied", g.imp, "GET", "/billing/pay", 403, false)
			g.expect("an impersonation, denied, unsafe", g.imp, "POST", "/account/delete", 403, false)
			g.expect("an impersonation, elsewhere", g.imp, "POST", "/app", site.passed, site.reached)
			g.expect("an own session", g.own, "GET", "/billing/pay", site.passed, site.reached)
			g.expect("nobody", "", "GET", "/billing/pay", site.passed, site.reached)
		})
	}
}

func TestDeny_SeesThePathAsItCameAndAsItIs(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "deny /billing/*", "reverse_proxy APP")
	block := g.site("deny /billing/*", "")
	before, rest, _ := strings.Cut(block, "\tauth_sessions {")
	inner := "\tauth_sessions {" + strings.TrimSuffix(strings.TrimRight(rest, "\n"), "}")
	for _, c := range []struct{ name, rewrite, path string }{
		{"a prefix that was cut", "uri strip_prefix /api", "/api/billing/pay"},
		{"a guarded path that was rewritten", "rewrite * /index.php", "/billing/pay"},
	} {
		site := before + "\troute {\n\t\t" + c.rewrite + "\n" + inner + "\n\t\treverse_proxy " + strings.TrimPrefix(g.app.URL, "http://") + "\n\t}\n}\n"
		if err := g.Reload(site); err != nil {
			t.Fatal(err)
		}
		g.expect(c.name, g.imp, "GET", c.path, 403, false)
		g.expect(c.name+", of an own session", g.own, "GET", c.path, 200, true)
	}
}

func TestDeny_RawSpellingsOverTheWire(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "deny /billing/* /account/delete", "reverse_proxy APP")
	for _, target := range []string{
		"//billing/pay", "/./billing/pay", "/x/../billing/pay", "/billing%2fpay", "/account%252fdelete", "/account/delete/", "/account;x=y/delete",
		"/x/..;/billing/pay", `/account\delete`, "/account/delete%00", "/BILLING/pay", "http://same.example.com/billing/pay", "x:billing/pay", "/billing",
	} {
		before := g.count.Load()
		got := rawExchange(t, g.URL, "GET "+target+" HTTP/1.1\r\nHost: same.example.com\r\nAuthorization: Bearer "+g.imp+"\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 403 ") && !strings.HasPrefix(got, "HTTP/1.1 400 ") || g.count.Load() != before {
			t.Errorf("%s: %s", target, strings.SplitN(got, "\r\n", 2)[0])
		}
	}
	g.expect("headers that name another path", g.imp, "GET", "/app", 200, true)
	got, _ := g.ask(g.imp, "GET", "/app", "X-Original-Url", "/billing/pay", "X-Rewrite-Url", "/billing/pay")
	if strings.Contains(got.Body, "/billing/pay") {
		t.Errorf("the app was told another path: %s", got.Body)
	}
}

func TestDeny_IsForTheSitesErrorPages(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "deny /billing/*\nread_only", "reverse_proxy APP\nhandle_errors {\n\trespond \"{err.status_code}: ask alice\" 403\n}")
	for _, method := range []string{"GET", "POST"} {
		if got, _ := g.ask(g.imp, method, "/billing/pay"); got.Status != 403 || got.Body != "403: ask alice" {
			t.Errorf("%s: %d %s", method, got.Status, got.Body)
		}
	}
}

func TestReadOnly_RefusesWhatIsUnsafe(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "read_only", "reverse_proxy APP")
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE"} {
		g.expect("safe", g.imp, method, "/app", 200, true)
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PROPPATCH", "MKCOL", "QUERY", "get", "Whatever"} {
		g.expect("unsafe", g.imp, method, "/app", 403, false)
		g.expect("unsafe, of an own session", g.own, method, "/app", 200, true)
		g.expect("unsafe, of nobody", "", method, "/app", 200, true)
	}
}

func TestReadOnly_RefusesUpgradesAndTunnels(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "read_only", "reverse_proxy APP")
	for _, c := range []struct{ name, request string }{
		{"a WebSocket", "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"},
		{"another upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: irc\r\n"},
		{"an upgrade by halves", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: close\r\n"},
		{"a tunnel", "CONNECT a.example.com:443 HTTP/1.1\r\nHost: a.example.com:443\r\nConnection: close\r\n"},
	} {
		before := g.count.Load()
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%sAuthorization: Bearer %s\r\n\r\n", c.request, g.imp)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if resp.StatusCode != 403 || g.count.Load() != before {
			t.Errorf("%s: %s", c.name, resp.Status)
		}
		_ = resp.Body.Close()
		_ = conn.Close()
	}
}

func TestReadOnly_RefusesWebSocketsOverHTTP2(t *testing.T) {
	t.Setenv("GODEBUG", "http2xconnect=1") // of the server too
	g := startGuarded(t, "read_only", "reverse_proxy APP")
	for token, want := range map[string]int{g.imp: 403, g.own: 200} { // the app's 200 is no upgrade; it got there
		before := g.count.Load()
		resp, err := h2c().RoundTrip(extendedConnect(t, g.URL+"/ws", token, http.NoBody))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || (g.count.Load() > before) != (want == 200) {
			t.Errorf("%s, want %d", resp.Status, want)
		}
	}
}

// h2c speaks HTTP/2 without TLS.
func h2c() http.RoundTripper {
	//nolint:staticcheck // that of net/http refuses extended CONNECT
	return &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

// extendedConnect is a WebSocket's request of HTTP/2 (RFC 8441).
func extendedConnect(t *testing.T, url, token string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodConnect, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header[":protocol"] = []string{"websocket"}
	req.Header.Set("Sec-Websocket-Version", "13")
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

func TestH5_OverridesOfImpersonatedSessionsAreDropped(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "read_only", "reverse_proxy APP")
	header := []string{"X-Http-Method-Override", "DELETE", "X-Http-Method", "DELETE", "X-Method-Override", "DELETE"}
	got := g.expect("an impersonation", g.imp, "GET", "/app?_method=DELETE&a=b", 200, true, header...)
	if strings.Contains(got.Body, "DELETE") || !strings.HasPrefix(got.Body, "GET /app?a=b\n") {
		t.Errorf("the app saw an override:\n%s", got.Body)
	}
	got = g.expect("an own session", g.own, "GET", "/app?_method=DELETE", 200, true, header...)
	if strings.Count(got.Body, "DELETE") != 4 {
		t.Errorf("an own session's request was changed:\n%s", got.Body)
	}
}

// actLines returns what was written about impersonated requests: of those that reached the
// app the unsafe ones, and those that were refused.
func (s *sidecar) actLines() (lines []map[string]any) {
	s.t.Helper()
	for line := range strings.Lines(s.Log()) {
		if !strings.Contains(line, `"session acted"`) && !strings.Contains(line, `"session refused"`) || !strings.HasSuffix(line, "\n") {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestL2_OneLineForEachImpersonatedUnsafeRequest(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "deny /billing/*", "reverse_proxy /down* 127.0.0.1:1\nreverse_proxy APP")
	type line struct {
		method, path string
		status       int
	}
	for _, c := range []struct {
		name, method, target string
		want                 line
		header               []string
	}{
		{"the app's answer", "POST", "/app?token=secret", line{"POST", "/app", 200}, nil},
		{"the app's error", "DELETE", "/a%20b", line{"DELETE", "/a b", 418}, []string{"X-Fail", "1"}},
		{"refused", "PUT", "/billing/x", line{"PUT", "/billing/x", 403}, nil},
		{"an app that is down", "PATCH", "/down", line{"PATCH", "/down", 502}, nil},
		{"safe", "GET", "/app", line{}, nil},
		{"safe and refused", "GET", "/billing/x", line{"GET", "/billing/x", 403}, nil},
	} {
		before, mark := len(g.actLines()), "/mark/"+strings.ReplaceAll(c.name, " ", "-")
		g.ask(g.imp, c.method, c.target, c.header...)
		g.ask(g.own, c.method, c.target, c.header...)
		g.ask("", c.method, c.target, c.header...)
		g.ask(g.imp, "POST", mark) // what was written before it is there when it is
		g.WaitLog(`"path":"` + mark + `","status":200}` + "\n")
		lines := g.actLines()[before:]
		if c.want == (line{}) {
			if len(lines) != 1 {
				t.Errorf("%s: lines %v", c.name, lines)
			}
		} else {
			if len(lines) != 2 {
				t.Fatalf("%s: lines %v", c.name, lines)
			}
			got := line{lines[0]["method"].(string), lines[0]["path"].(string), int(lines[0]["status"].(float64))}
			if got != c.want {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	}
}

// However long the way to it, the line says what was asked for.
func TestL2_ALongPathHidesNothing(t *testing.T) {
	g := startGuarded(t, "", "reverse_proxy APP")
	for n, target := range []string{
		strings.Repeat("/.", 520) + "/account/delete", strings.Repeat("/.", 5000) + "/account/delete", "/account/delete" + strings.Repeat("/.", 5000),
		strings.Repeat("/x/..", 1000) + "/account/delete" + strings.Repeat("/y/..", 1000), strings.Repeat("/", 9000) + "account/delete" + strings.Repeat("/", 5000),
	} {
		before := len(g.actLines())
		got := rawExchange(t, g.URL, "POST "+target+" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nAuthorization: Bearer "+g.imp+"\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("%.30s… of %d bytes: %.40s", target, len(target), got)
		}
		mark := "/mark/" + strconv.Itoa(n) // what was written before it is there when it is
		g.ask(g.imp, "POST", mark)
		g.WaitLog(`"path":"` + mark + `","status":200}` + "\n")
		path := g.actLines()[before]["path"].(string)
		if !strings.Contains(path, "/account/delete") || !strings.HasPrefix(path, target[:200]) || len(path) > 1000 {
			t.Errorf("%.30s… of %d bytes is recorded as %s", target, len(target), path)
		}
	}
}

func TestL2_WhatTheLineSays(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "read_only", "reverse_proxy APP")
	g.ask(g.imp, "POST", "/app?token=secret", "User-Agent", "me")
	g.WaitLog(`"path":"/app","status":403,"error":"read_only"}` + "\n")
	lines := g.actLines()
	claims := sidecartest.Part(t, g.imp, 1)
	want := map[string]any{
		"level": "info", "logger": "http.handlers.auth_sessions.audit", "issuer": "https://app.example.com",
		"session_id": claims["sid"], "user_id": "alice", "actor": "desk", "actor_issuer": "https://idp.example.com",
		"reason": "ticket 4711", "client_id": "desk", "is_impersonation": true, "client_ip": "127.0.0.1", "method": "POST", "path": "/app", "status": 403.0, "error": "read_only", "msg": "session refused",
	}
	for name, value := range want {
		if len(lines) != 1 || lines[0][name] != value {
			t.Errorf("%s is not %v in %v", name, value, lines)
		}
	}
	if text := fmt.Sprint(lines); strings.Contains(text, "secret") || strings.Contains(text, "eyJ") {
		t.Errorf("a secret is in %s", text)
	}
}

// Where the audit is required, the app gets nothing that is not on disk.
func TestAudit_RequiredIsWrittenBeforeTheAppIsAsked(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "", "reverse_proxy APP")
	dir := g.Dir + "/audit"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	site := strings.Replace(g.site("", "reverse_proxy APP"), "\t\tlifecycle\n", "\t\tlifecycle\n\t\taudit required\n\t\taudit file "+dir+"/audit.jsonl\n", 1)
	if err := g.Reload(site); err != nil {
		t.Fatal(err)
	}
	g.expect("while it can be written", g.imp, "POST", "/app", 200, true)
	var events []string
	for _, record := range g.auditLines() {
		if record["path"] == "/app" {
			events = append(events, fmt.Sprint(record["event"], record["status"]))
		}
	}
	if fmt.Sprint(events) != "[acting<nil> acted200]" {
		t.Errorf("written: %v", events)
	}
}

func TestGuards_ConcurrentRequestsHaveALineEach(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, "", "reverse_proxy APP")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { g.ask(g.imp, "POST", "/app") })
	}
	all.Wait()
	g.ask(g.imp, "POST", "/mark")
	g.WaitLog(`"path":"/mark","status":200}` + "\n")
	if n := len(g.actLines()); n != 21 {
		t.Errorf("%d lines for 21 requests", n)
	}
}

package caddymodule_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A bare block intercepts POST on its path and nothing else: every other request
// reaches the app, and the answer the client, as through the same Caddy without
// our directive.
func TestForward_SameBytesAsWithoutUs(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	app := sidecartest.Echo(t)
	s := newSidecar(t)
	plain := "http://127.0.0.1:" + sidecartest.Port(t)
	s.Start(provider.Site(s.Sidecar, app, "") + "http://:" + sidecartest.PortOf(plain) + " {\n\treverse_proxy " + strings.TrimPrefix(app, "http://") + "\n}\n")

	methods := []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "POST"}
	targets := []string{
		"/", "/auth/sessions", "/auth/sessions/", "/auth/sessions?user_id=x", "/AUTH/SESSIONS", "/auth", "/auth/session", "/auth/sessions/current",
		"/auth/sessions/current/refresh", "/auth//sessions", "/auth/%73essions", "/x%2Fy%20z;a=b?q=%zz&_x=1", "/a/../b", "/%E4%BD%A0?x=%00", "//double//slash/",
	}
	ours := regexp.MustCompile(`(?i)^/+auth/+(s|%73)essions/?(\?|$)`)
	headers := "Accept: */*\r\nAuthorization: Bearer abc\r\nX-Auth-User: me\r\nCookie: a=b\r\nX-Odd:  two  blanks \r\n"
	for _, method := range methods {
		for _, target := range targets {
			if method == "POST" && ours.MatchString(target) {
				continue
			}
			for _, body := range []string{"", "{\"user_id\":\"alice\"}"} {
				request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: same.example.com\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", method, target, headers, len(body), body)
				got, want := rawExchange(t, s.URL, request), rawExchange(t, plain, request)
				if !strings.Contains(want, "X-App: echo") {
					t.Fatalf("%s %s did not reach the app: %s", method, target, want)
				}
				if got != want {
					t.Errorf("%s %s with %d bytes:\n%s\nwithout us:\n%s", method, target, len(body), got, want)
				}
			}
		}
	}
}

var (
	hopDate = regexp.MustCompile(`(?m)^Date: .*\r\n`)
	hopPort = regexp.MustCompile(`X-Forwarded-(Host|For|Proto): .*\r\n`)
)

// rawExchange sends bytes and returns the answer's, without its date.
func rawExchange(t *testing.T, base, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 ")) {
		t.Fatalf("no answer: %q", answer)
	}
	return hopPort.ReplaceAllString(hopDate.ReplaceAllString(string(answer), ""), "")
}

func TestForward_WebSocketAndStreamedUpload(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			streamHash(w, r)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, data, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if conn.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	}))
	t.Cleanup(app.Close)
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, app.URL, ""))

	for _, path := range []string{"/ws", "/auth/sessions"} {
		conn, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http")+path, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		for _, message := range [][]byte{[]byte("hello"), bytes.Repeat([]byte{0, 255}, 10000)} {
			if err := conn.Write(context.Background(), websocket.MessageBinary, message); err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.Read(context.Background()); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%s: %d bytes back, %v", path, len(got), err)
			}
		}
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}

	const size = 20 << 20
	source, sum := make([]byte, size), sha256.New()
	_, _ = rand.Read(source)
	sum.Write(source)
	resp, err := http.Post(s.URL+"/upload", "application/octet-stream", io.MultiReader(bytes.NewReader(source))) // of unknown length: chunked
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("%d %x", size, sum.Sum(nil)); string(got) != want {
		t.Errorf("uploaded %s, want %s", got, want)
	}
}

func streamHash(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, _ := io.Copy(sum, r.Body)
	fmt.Fprintf(w, "%d %x", n, sum.Sum(nil))
}

// H6: spellings that a lenient app could take for our path never reach it, in
// sites that rewrite, too.
func TestH6_AliasesNeverReachTheApp(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	app := sidecartest.Echo(t)
	aliases := []string{
		"/auth/sessions/", "/auth/sessions;x", "/auth;v=1/sessions", "/auth/sessions%20", "/auth/sessions%00", "/auth%5csessions", "/auth%252fsessions",
		"/auth/%252e/sessions", "/auth/sessions%2f", "/auth/sessions.", "/auth/sessions%3b", "/auth/sessions%09",
		"//x/auth/sessions", "///x/auth/sessions", `/\x/auth/sessions`, "/%2Fx/auth/sessions", "/x/..;/auth/sessions", "/index.php/auth/sessions", "/auth/sessions/..", "x:auth/sessions",
	}
	same := []string{"/auth/sessions", "//auth//sessions", "/auth/./sessions", "/x/../auth/sessions", "/AUTH/SESSIONS", "/auth%2fsessions", "/%61uth/sessions", "/auth/%2e/sessions"}
	s := newFullSidecar(t)
	one := provider.Site(s.Sidecar, app, "")
	configs, urls := "", make(map[string]string)
	for _, site := range []string{"", "rewrite * /app{uri}", "uri strip_prefix /auth", "uri path_regexp /+ /", "try_files {path} /index.html", "redir /auth/* /elsewhere", "route {\n\t\trewrite /x/* /auth/sessions\n\t}"} {
		port := sidecartest.Port(t)
		urls[site] = "http://127.0.0.1:" + port
		configs += strings.NewReplacer("SITE", "http://:"+port, "issuer "+sidecartest.Issuer, "issuer "+sidecartest.Issuer+":"+port, "\treverse_proxy", "\t"+site+"\n\treverse_proxy").Replace(one)
	}
	s.Start(configs)
	for site, url := range urls {
		for _, target := range aliases {
			if got := rawPost(t, url, target); got != 404 {
				t.Errorf("%q: POST %s: %d, want 404", site, target, got)
			}
		}
		for _, target := range same {
			if got := rawPost(t, url, target); got != 401 {
				t.Errorf("%q: POST %s: %d, want 401 from the endpoint", site, target, got)
			}
		}
	}
}

// rawPost posts to a target that no client library would send, and returns the
// status. An answer by the app fails the test.
func rawPost(t *testing.T, base, target string) int {
	t.Helper()
	answer := rawExchange(t, base, "POST "+target+" HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("X-App") != "" {
		t.Errorf("POST %s reached the app", target)
	}
	return resp.StatusCode
}

func TestH5_MethodOverridesOnOurPath(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))
	req, _ := http.NewRequest("GET", s.URL+"/auth/sessions?_method=POST&a=b", nil)
	req.Header.Set("X-HTTP-Method-Override", "POST")
	got, err := s.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, got, 200)
	if strings.Contains(strings.ToLower(got.Body), "method") || !strings.Contains(got.Body, "GET /auth/sessions?a=b") {
		t.Errorf("the app saw an override: %s", got.Body)
	}
	got = s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`, "X-Http-Method-Override", "GET")
	sidecartest.WantStatus(t, got, 200)
}

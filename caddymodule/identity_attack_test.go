package caddymodule_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	clear "golang.org/x/net/http2/h2c" // servers that change to HTTP/2 on the same connection
)

// An app that would go on in HTTP/2 on the same connection would be told there, by the
// client itself, who is asking: nobody looks at what is said on an upgraded connection.
func TestU1_NoHTTP2InAnUpgradedConnection(t *testing.T) {
	reached := make(chan string, 10)
	app := newServer(t, clear.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.Proto + " " + r.Header.Get("Upgrade")
		_, _ = io.WriteString(w, r.Header.Get("X-Auth-User"))
	}), &http2.Server{}).ServeHTTP)
	p := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(p.site(s, app, life+"\n\t\tidentity"))
	for _, upgrade := range []string{"h2c", "H2C", "websocket, h2c", "h2c;x=1", "HTTP/2.0", "TLS/1.0, HTTP/1.1"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		settings := base64.RawURLEncoding.EncodeToString([]byte{0, 3, 0, 0, 0, 100})
		fmt.Fprintf(conn, "GET /app HTTP/1.1\r\nHost: app\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: %s\r\n\r\n", upgrade, settings)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			t.Errorf("Upgrade: %s: status %d", upgrade, resp.StatusCode)
		}
		resp.Body.Close()
		if got := <-reached; got != "HTTP/1.1 " {
			t.Errorf("Upgrade: %s: the app got %q", upgrade, got)
		}
	}
}

package caddymodule_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An app that would go on in HTTP/2 on the same connection would be told there, by the
// client itself, who is asking: nobody looks at what is said on an upgraded connection.
func TestU1_NoHTTP2InAnUpgradedConnection(t *testing.T) {
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) { // one that does as it is asked
		if upgrade := r.Header.Get("Upgrade"); upgrade != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", upgrade)
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})
	p := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(p.site(s, app, life+"\n\t\tidentity"))
	for upgrade, want := range map[string]string{
		"h2c": "200", "H2C": "200", "websocket, h2c": "200", "h2c;x=1": "200", "HTTP/2.0": "200", "TLS/1.0, HTTP/1.1": "200", "websocket": "101",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET /app HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", upgrade)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+want) {
			t.Errorf("Upgrade: %s: %q, %v; want %s", upgrade, line, err, want)
		}
	}
}

// Whatever else is in a request that is somebody's, a refresh token goes no further.
func TestU5_NoRefreshTokenBesideAGoodCredential(t *testing.T) {
	s, p := identitySite(t, "cookie __Host-session")
	refresh := p.own.text("refresh_token")
	cookie := "__Host-session=" + p.own.text("access_token")
	basic := base64.StdEncoding.EncodeToString([]byte("git:" + refresh))
	for _, c := range []struct {
		what, cookie  string
		authorization []string
		status        int
	}{
		{"another scheme beside the cookie", cookie, []string{"Token " + refresh}, 401},
		{"a password", "", []string{"Basic " + basic}, 401},
		{"a password beside the cookie", cookie, []string{"basic " + basic}, 401},
		{"a cookie with a name that is none", "a b=" + refresh + "; keep=1", nil, 200},
		{"a cookie in quotes", "r=\"" + refresh + "\"; keep=1", nil, 200},
		{"a cookie with more in it", "r=%5B" + refresh + "; keep=1", nil, 200},
		{"a cookie without a name", refresh + "; keep=1", nil, 200},
		{"cookies of which some are odd", "keep=a b,c\"d; r=" + refresh + "; odd", nil, 200},
	} {
		var header []string
		for _, value := range c.authorization {
			header = append(header, "Authorization", value)
		}
		if c.cookie != "" {
			header = append(header, "Cookie", c.cookie)
		}
		got := s.through("GET", "/app", header...)
		if got.status != c.status {
			t.Errorf("%s: %d, want %d", c.what, got.status, c.status)
		}
		if strings.Contains(got.body, refresh) || strings.Contains(got.body, basic) {
			t.Errorf("%s: the app gets it", c.what)
		}
		if got.status == 200 && !strings.Contains(got.body, "keep=") {
			t.Errorf("%s: other cookies are lost:\n%s", c.what, got.body)
		}
	}
	// What is nobody's token is the app's affair, and others' cookies keep their spelling.
	got := s.through("GET", "/app", "Authorization", "Basic YTpi", "Cookie", `a="x, y"; b; r=`+refresh)
	wantTold(t, got, "Authorization", "Basic YTpi")
	wantTold(t, got, "Cookie", `a="x, y"; b`)
}

// A token of an issuer that is trusted to create sessions is none that an app with
// identity alone is told of: its keys make no difference, and it may be down.
func TestIdentity_NeedsNoKeysForTokensThatItDoesNotAccept(t *testing.T) {
	keys := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for words, status := range map[string]int{"identity": 200, "identity {\n\t\t\taccept callers\n\t\t}": 503} {
		p := newIDP(t, "https://idp.example.com")
		s := newSidecar(t, t.TempDir())
		s.start(strings.Replace(p.site(s, echo(t).URL, words), "jwks DIR/jwks.json", "jwks "+keys+"/keys", 1))
		token := "Bearer " + p.token("alice", nil)
		got := s.through("GET", "/app", "Authorization", token)
		wantStatus(t, got, status)
		if status == 200 {
			wantTold(t, got, "Authorization", token)
		} else if got.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
}

// A preflight is let pass where a token is required: not as something else.
func TestIdentity_APreflightIsNothingElse(t *testing.T) {
	s, _ := identitySite(t, "require")
	preflight := []string{"Origin", "https://other.example.com", "Access-Control-Request-Method", "PUT"}
	got := s.through("OPTIONS", "/app?_method=DELETE&a=b", append([]string{"X-HTTP-Method-Override", "DELETE", "X_Http_Method", "DELETE"}, preflight...)...)
	wantStatus(t, got, 200)
	if strings.Contains(got.body, "DELETE") || !strings.HasPrefix(got.body, "OPTIONS /app?a=b\n") {
		t.Errorf("the app gets\n%s", got.body)
	}
	wantStatus(t, s.through("OPTIONS", "/app", append([]string{"Connection", "Upgrade", "Upgrade", "tunnel"}, preflight...)...), 401)
}

// Where a site's error pages come from the app, a refused request goes there as nobody's,
// and without the token that it was refused for.
func TestU5_NoTokenInErrorRoutes(t *testing.T) {
	p := &people{idp: newIDP(t, "https://idp.example.com")}
	s := newSidecar(t, t.TempDir())
	app := echo(t).URL
	site := p.site(s, app, life+"\n\t\tidentity {\n\t\t\trequire\n\t\t\tcookie session\n\t\t}")
	s.start(strings.TrimSuffix(strings.TrimSpace(site), "}") + "\thandle_errors {\n\t\treverse_proxy " + strings.TrimPrefix(app, "http://") + "\n\t}\n}\n")
	own := create(t, s.url, p.token("alice", nil), `{"user_id":"alice"}`)
	refresh := own.text("refresh_token")
	for what, header := range map[string][]string{
		"in Authorization": {"Authorization", "Bearer " + refresh},
		"in the cookie":    {"Cookie", "keep=1; session=" + refresh},
		"in any cookie":    {"Cookie", "keep=1; other=" + refresh},
	} {
		got := s.through("GET", "/app", append(header, "X-Auth-User", "root")...)
		if !strings.HasPrefix(got.body, "GET /app") || strings.Contains(got.body, refresh) {
			t.Errorf("%s: the app gets\n%s", what, got.body)
		}
		wantTold(t, got, "X-Auth-User", "")
		if header[0] == "Cookie" {
			wantTold(t, got, "Cookie", "keep=1")
		}
	}
}

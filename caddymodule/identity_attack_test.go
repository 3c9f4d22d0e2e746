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

	"authsidecar/caddymodule/internal/sidecartest"
)

// An app that would go on in HTTP/2 on the same connection would be told there, by the
// client itself, who is asking: nobody looks at what is said on an upgraded connection.
func TestU1_NoHTTP2InAnUpgradedConnection(t *testing.T) {
	t.Parallel()
	app := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) { // one that does as it is asked
		if upgrade := r.Header.Get("Upgrade"); upgrade != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", upgrade)
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity"))
	for upgrade, want := range map[string]string{
		"h2c": "200", "H2C": "200", "websocket, h2c": "200", "h2c;x=1": "200", "HTTP/2.0": "200", "TLS/1.0, HTTP/1.1": "200", "websocket": "101",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
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
	t.Parallel()
	s, p := identitySite(t, "cookie __Host-session")
	refresh := p.own.Text("refresh_token")
	cookie := "__Host-session=" + p.own.Text("access_token")
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
		if got.Status != c.status {
			t.Errorf("%s: %d, want %d", c.what, got.Status, c.status)
		}
		if strings.Contains(got.Body, refresh) || strings.Contains(got.Body, basic) {
			t.Errorf("%s: the app gets it", c.what)
		}
		if got.Status == 200 && !strings.Contains(got.Body, "keep=") {
			t.Errorf("%s: other cookies are lost:\n%s", c.what, got.Body)
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
	t.Parallel()
	keys := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for words, status := range map[string]int{"identity": 200, "identity {\n\t\t\taccept callers\n\t\t}": 503} {
		p := sidecartest.NewIDP(t, "https://idp.example.com")
		s := newSidecar(t)
		s.Start(strings.Replace(p.Site(s.Sidecar, sidecartest.Echo(t), words), "jwks DIR/jwks.json", "jwks "+keys+"/keys", 1))
		token := "Bearer " + p.Token("alice", nil)
		got := s.through("GET", "/app", "Authorization", token)
		sidecartest.WantStatus(t, got, status)
		if status == 200 {
			wantTold(t, got, "Authorization", token)
		} else if got.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
}

// A preflight is let pass where a token is required: not as something else.
func TestIdentity_APreflightIsNothingElse(t *testing.T) {
	t.Parallel()
	s, _ := identitySite(t, "require")
	preflight := []string{"Origin", "https://other.example.com", "Access-Control-Request-Method", "PUT"}
	got := s.through("OPTIONS", "/app?_method=DELETE&a=b", append([]string{"X-HTTP-Method-Override", "DELETE", "X_Http_Method", "DELETE"}, preflight...)...)
	sidecartest.WantStatus(t, got, 200)
	if strings.Contains(got.Body, "DELETE") || !strings.HasPrefix(got.Body, "OPTIONS /app?a=b\n") {
		t.Errorf("the app gets\n%s", got.Body)
	}
	sidecartest.WantStatus(t, s.through("OPTIONS", "/app", append([]string{"Connection", "Upgrade", "Upgrade", "tunnel"}, preflight...)...), 401)
}

// Where a site's error pages come from the app, a refused request goes there as nobody's,
// and without the token that it was refused for.
func TestU5_NoTokenInErrorRoutes(t *testing.T) {
	t.Parallel()
	p := &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	s := newSidecar(t)
	app := sidecartest.Echo(t)
	site := p.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\trequire\n\t\t\tcookie session\n\t\t}")
	s.Start(strings.TrimSuffix(strings.TrimSpace(site), "}") + "\thandle_errors {\n\t\treverse_proxy " + strings.TrimPrefix(app, "http://") + "\n\t}\n}\n")
	own := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
	refresh := own.Text("refresh_token")
	for what, header := range map[string][]string{
		"in Authorization": {"Authorization", "Bearer " + refresh},
		"in the cookie":    {"Cookie", "keep=1; session=" + refresh},
		"in any cookie":    {"Cookie", "keep=1; other=" + refresh},
	} {
		got := s.through("GET", "/app", append(header, "X-Auth-User", "root")...)
		if !strings.HasPrefix(got.Body, "GET /app") || strings.Contains(got.Body, refresh) {
			t.Errorf("%s: the app gets\n%s", what, got.Body)
		}
		wantTold(t, got, "X-Auth-User", "")
		if header[0] == "Cookie" {
			wantTold(t, got, "Cookie", "keep=1")
		}
	}
}

// The header that the assertion goes in is ours: whoever has it dropped would be told to
// the app by the other headers alone.
func TestU2_NobodyDropsTheAssertion(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "assertion")
	for how, lines := range map[string]string{
		"listed":                   "Connection: close, Authorization\n",
		"listed in another case":   "Connection: AUTHORIZATION, close\n",
		"listed twice":             "Connection: authorization\nConnection: close,Authorization,Authorization\n",
		"listed in quotes":         "Connection: close, \"Authorization\"\n",
		"with X-Auth-User":         "Connection: close, X-Auth-User, Authorization\n",
		"listed for a proxy":       "Connection: close, Proxy-Connection\nProxy-Connection: Authorization\n",
		"kept alive":               "Keep-Alive: Authorization\nConnection: close, Keep-Alive, Authorization\n",
		"as a trailer":             "Connection: close, TE\nTE: trailers, Authorization\nTrailer: Authorization\n",
		"with what is left empty":  "Connection: Authorization\nConnection: close\n",
		"an upgrade that is h2c":   "Connection: Upgrade, Authorization, close\nUpgrade: h2c\n",
		"listed with a parameter":  "Connection: close, Authorization;q=1\n",
		"listed with odd blanks":   "Connection: close,\t Authorization \t\n",
		"listed among many others": "Connection: " + strings.Repeat("x, ", 50) + "Authorization, close\n",
	} {
		got := s.raw("GET /app HTTP/1.1\nHost: app\n" + lines + "Authorization: " + bearerOf(p.own) + "\n\n")
		wantTold(t, sidecartest.Answer{Body: got}, "X-Auth-User", "alice")
		sent := told(got, "Authorization")
		if len(sent) != 1 || !strings.HasPrefix(sent[0], "Bearer ey") || sent[0] == bearerOf(p.own) {
			t.Errorf("%s: the app gets Authorization %q", how, sent)
		}
	}
}

// An assertion is in place of the token: that goes no further, wherever it was.
func TestU5_NoAccessTokenBesideTheAssertion(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "cookie session\n\t\t\taccept callers\n\t\t\tassertion")
	access, caller := p.own.Text("access_token"), p.Token("bob", nil)
	foreign := sidecartest.NewIDP(t, "https://elsewhere.example.com").Token("bob", nil)
	for what, c := range map[string]struct {
		header     []string
		user, left string
	}{
		"alone":                           {[]string{"Cookie", "session=" + access}, "alice", ""},
		"among others":                    {[]string{"Cookie", `a="x, y"; b;session=` + access + "; =c;d=\te "}, "alice", `a="x, y"; b; =c;d=` + "\te"},
		"with blanks":                     {[]string{"Cookie", "keep=1;\tsession =" + access}, "alice", "keep=1"},
		"in quotes":                       {[]string{"Cookie", "session=\"" + access + "\"; keep=1"}, "alice", "keep=1"},
		"in the second field":             {[]string{"Cookie", "keep=1", "Cookie", "session=" + access}, "alice", "keep=1"},
		"beside the same in the header":   {[]string{"Authorization", "Bearer " + access, "Cookie", "session=" + access + "; keep=1"}, "alice", "keep=1"},
		"of a caller":                     {[]string{"Cookie", "session=" + caller + "; keep=1"}, "bob", "keep=1"},
		"behind a token of somebody else": {[]string{"Authorization", "Bearer " + foreign, "Cookie", "session=" + access + "; keep=1"}, "", "keep=1"},
		"in half a quote":                 {[]string{"Cookie", "session=\"" + access + "; keep=1"}, "", "keep=1"},
		"of a name that is not ours":      {[]string{"Cookie", "Session=x; sessions=y"}, "", "Session=x; sessions=y"},
	} {
		got := s.through("GET", "/app", c.header...)
		if got.Status != 200 {
			t.Errorf("%s: status %d", what, got.Status)
			continue
		}
		wantTold(t, got, "X-Auth-User", c.user)
		if strings.Contains(got.Body, access) || strings.Contains(got.Body, caller) {
			t.Errorf("%s: the app gets the token", what)
		}
		if cookies := strings.Join(told(got.Body, "Cookie"), "|"); cookies != c.left {
			t.Errorf("%s: the app gets the cookies %q, want %q", what, cookies, c.left)
		}
	}
}

package caddymodule_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// told is what the app saw of a request: its headers, in lines, as echo writes them.
func told(body, header string) []string {
	var values []string
	for line := range strings.Lines(body) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && strings.EqualFold(name, header) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

func wantTold(t testing.TB, got sidecartest.Answer, header, want string) {
	t.Helper()
	values := told(got.Body, header)
	if want == "" && len(values) == 0 {
		return
	}
	if len(values) != 1 || values[0] != want {
		t.Errorf("the app is told %s %q, want %q\n%s", header, values, want, got.Body)
	}
}

// through sends a request through the site; headers are pairs.
func (s *sidecar) through(method, path string, header ...string) sidecartest.Answer {
	s.t.Helper()
	got, err := s.tryThrough(method, path, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func (s *sidecar) tryThrough(method, path string, header ...string) (sidecartest.Answer, error) {
	req, err := http.NewRequest(method, s.URL+path, http.NoBody)
	if err != nil {
		return sidecartest.Answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header[header[i]] = append(req.Header[header[i]], header[i+1])
	}
	req.Host = cmp.Or(req.Header.Get("Host"), req.Host)
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return sidecartest.Answer{}, err
	}
	defer resp.Body.Close()
	return sidecartest.Read(resp)
}

// raw sends bytes as they are and returns what comes back.
func (s *sidecar) raw(request string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%d\n%s", resp.StatusCode, data)
}

// people are sessions that the tests of identities use.
type people struct {
	*sidecartest.IDP
	own, imp sidecartest.Answer
}

// identitySite starts a sidecar with those words in its identity block, and sessions.
func identitySite(t *testing.T, words string, global ...string) (*sidecar, *people) {
	t.Helper()
	p := &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	s := newSidecar(t)
	s.Global = strings.Join(global, "")
	s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\t"+words+"\n\t\t}"))
	p.own = s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
	p.imp = s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice","reason":"ticket 4711"}`)
	sidecartest.WantStatus(t, p.own, 200)
	sidecartest.WantStatus(t, p.imp, 200)
	return s, p
}

func bearerOf(a sidecartest.Answer) string { return "Bearer " + a.Text("access_token") }

func TestIdentity_TheDefaultHeaders(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "")
	got := s.through("GET", "/app", "Authorization", bearerOf(p.own))
	wantTold(t, got, "X-Auth-User", "alice")
	wantTold(t, got, "X-Auth-Session", p.own.Text("session_id"))
	wantTold(t, got, "X-Auth-Actor", "")
	wantTold(t, got, "Authorization", bearerOf(p.own)) // U5
	got = s.through("GET", "/app", "Authorization", bearerOf(p.imp))
	wantTold(t, got, "X-Auth-User", "alice")
	wantTold(t, got, "X-Auth-Actor", "carol")
	got = s.through("GET", "/app")
	sidecartest.WantStatus(t, got, 200)
	for _, name := range []string{"X-Auth-User", "X-Auth-Session", "X-Auth-Actor"} {
		wantTold(t, got, name, "")
	}
}

// spoofs are ways to send a header of ours, or to have it dropped, as raw lines.
var spoofs = map[string]string{
	"plain":                   "X-Auth-User: root\nX-Auth-Session: s\nX-Auth-Actor: a\n",
	"twice":                   "X-Auth-User: root\nx-auth-user: root\n",
	"in another case":         "x-AUTH-user: root\n",
	"underscores":             "X_Auth_User: root\nX_AUTH_SESSION: s\n",
	"mixed":                   "X-Auth_User: root\n",
	"dots":                    "X.Auth.User: root\n",
	"a Connection list":       "Connection: close, X-Auth-User, X-Auth-Session, x-auth-actor\n",
	"two Connection lists":    "Connection: X-AUTH-USER\nConnection: x-auth-session,close\n",
	"a list with TE":          "Connection: TE, X-Auth-User, close\nTE: trailers, X-Auth-User\n",
	"a list and a twin":       "Connection: close, X_Auth_User\nX_Auth_User: root\n",
	"a proxy's list":          "Proxy-Connection: X-Auth-User\nConnection: close\n",
	"an announced trailer":    "Trailer: X-Auth-User\n",
	"kept alive":              "Keep-Alive: X-Auth-User\nConnection: keep-alive, X-Auth-User\n",
	"with what is left empty": "Connection: X-Auth-User\n",
}

func TestU1_U2_U3_NobodyElseSetsOrDropsOurHeaders(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]string{
		"as Caddy is":               "",
		"with headers as they come": "\tservers {\n\t\texpected_underscore_headers X_Auth_User X_AUTH_SESSION X-Auth_User\n\t}\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, p := identitySite(t, "require\n\t\t\texempt /public/*", option)
			credentials := map[string]struct{ line, path, user, session string }{
				"anonymous": {"", "/public/x", "", ""},
				"exempt":    {"Authorization: " + bearerOf(p.own) + "\n", "/public/x", "alice", p.own.Text("session_id")},
				"valid":     {"Authorization: " + bearerOf(p.own) + "\n", "/app", "alice", p.own.Text("session_id")},
				"bad":       {"Authorization: " + bearerOf(p.own) + "x\n", "/public/x", "", ""},
			}
			for who, c := range credentials {
				for how, lines := range spoofs {
					if !strings.Contains(lines, "Connection: ") {
						lines += "Connection: close\n"
					}
					got := s.raw("GET " + c.path + " HTTP/1.1\nHost: app\n" + lines + c.line + "Connection: close\n\n")
					seen := sidecartest.Answer{Body: got}
					if !strings.HasPrefix(got, "200\n") {
						t.Fatalf("%s, %s: %s", who, how, got)
					}
					for header, want := range map[string]string{"X-Auth-User": c.user, "X-Auth-Session": c.session, "X-Auth-Actor": ""} {
						wantTold(t, seen, header, want)
						for _, twin := range []string{strings.ReplaceAll(header, "-", "_"), strings.ReplaceAll(header, "-", "."), "X-Auth_User"} {
							wantTold(t, seen, twin, "")
						}
					}
					if t.Failed() {
						t.Fatalf("%s, %s", who, how)
					}
				}
			}
		})
	}
}

func TestU1_AnUpgradedRequest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen http.Header
	app := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = r.Header.Clone()
		mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity"))
	own := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
	s.through("GET", "/socket", "Connection", "Upgrade, X-Auth-User", "Upgrade", "websocket", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-Websocket-Version", "13",
		"X-Auth-Actor", "root", "Authorization", bearerOf(own))
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(seen["X-Auth-User"], seen["X-Auth-Actor"], seen["Upgrade"]); got != "[alice] [] [websocket]" {
		t.Errorf("the app sees %s", got)
	}
}

func TestU6_TrailersSetNothing(t *testing.T) {
	t.Parallel()
	trailers := make(chan http.Header, 2)
	app := sidecartest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer.Clone()
	})
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity"))
	for _, announced := range []string{"Trailer: X-Auth-User, X-Other\n", "Trailer: X-Other\n", ""} {
		s.raw("POST /app HTTP/1.1\nHost: app\nTransfer-Encoding: chunked\n" + announced + "Connection: close\n\n3\nabc\n0\nX-Auth-User: root\nX_Auth_User: root\nX-Other: x\n\n")
		for name := range <-trailers {
			if strings.Contains(strings.ToLower(name), "auth") {
				t.Errorf("announced as %q: the app gets the trailer %s", announced, name)
			}
		}
	}
}

func TestU4_ValuesAreVisibleASCII(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "header X-Auth-User user_id\n\t\t\theader X-Reason reason")
	for user, want := range map[string]string{
		"zoë":           "zo%C3%AB",
		"a b":           "a%20b",
		"100%":          "100%25",
		"a,b;c=\"d\"":   `a,b;c="d"`,
		"日本":            "%E6%97%A5%E6%9C%AC",
		"x@example.com": "x@example.com",
	} {
		got := s.Create(p.Token(user, nil), `{"user_id":`+fmt.Sprintf("%q", user)+`}`)
		sidecartest.WantStatus(t, got, 200)
		wantTold(t, s.through("GET", "/app", "Authorization", bearerOf(got)), "X-Auth-User", want)
	}
	wantTold(t, s.through("GET", "/app", "Authorization", bearerOf(p.imp)), "X-Reason", "ticket%204711")
}

func TestIdentity_EveryField(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, `accept callers
			header X-User user_id
			header X-Session session_id
			header X-Actor actor
			header X-Actor-Issuer actor_issuer
			header X-Is-Impersonation is_impersonation
			header X-Reason reason
			header X-Client client_id
			header X-Groups groups
			header X-Level level
			header X-Share share
			header X-Staff staff
			header X-Deep /realm/roles/0
			header X-Realm realm
			header X-Title title
			header X-None nothing`)
	got := s.through("GET", "/app", "Authorization", bearerOf(p.imp))
	for header, want := range map[string]string{
		"X-User": "alice", "X-Session": p.imp.Text("session_id"), "X-Actor": "carol", "X-Actor-Issuer": "https://idp.example.com",
		"X-Is-Impersonation": "true", "X-Reason": "ticket%204711", "X-Client": "desk", "X-Groups": "",
	} {
		wantTold(t, got, header, want)
	}
	token := p.Token("bob", map[string]any{
		"groups": []any{"a", "b,c", "d e", 7, true, []any{1}}, "level": 42, "title": "x,admin", "share": 0.5, "staff": false,
		"realm": map[string]any{"roles": []any{"x"}}, "nothing": nil,
	})
	got = s.through("GET", "/app", "Authorization", "Bearer "+token)
	for header, want := range map[string]string{
		"X-User": "bob", "X-Session": "", "X-Actor": "", "X-Is-Impersonation": "false", "X-Groups": "a,b%2Cc,d%20e,7,true,[1]",
		"X-Level": "42", "X-Title": "x%2Cadmin", "X-Share": "0.5", "X-Staff": "false", "X-Deep": "x", "X-Realm": `{"roles":["x"]}`, "X-None": "",
	} {
		wantTold(t, got, header, want)
	}
}

// Who is nobody's user is not taken for one, and who acts is told.
func TestIdentity_CallersWhoAreNoUsers(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "accept callers")
	got := s.through("GET", "/app", "Authorization", "Bearer "+p.Token("desk", nil)) // its client_id is its subject
	wantTold(t, got, "X-Auth-User", "")
	wantTold(t, got, "X-Auth-Actor", "desk")
	got = s.through("GET", "/app", "Authorization", "Bearer "+p.Token("alice", map[string]any{"act": map[string]any{"sub": "mallory"}}))
	wantTold(t, got, "X-Auth-User", "alice")
	wantTold(t, got, "X-Auth-Actor", "mallory")
}

// The token of a machine that has a user's name is told as the actor. One that somebody
// uses for the user, and does not say who, is nobody's.
func TestIdentity_NeitherMachinesNorUnnamedActorsAreToldAsTheUser(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"accept callers", "accept callers\n\t\t\trequire"} {
		s, p := identitySite(t, words)
		for name, claims := range map[string]map[string]any{
			"azp": {"azp": "alice"}, "cid": {"cid": "alice"}, "appid": {"appid": "alice"}, "gty": {"gty": "client-credentials"},
			"idtyp": {"idtyp": "app"}, "name": {"preferred_username": "service-account-alice"},
		} {
			got := s.through("GET", "/app", "Authorization", "Bearer "+p.Token("alice", claims))
			sidecartest.WantStatus(t, got, 200)
			wantTold(t, got, "X-Auth-User", "")
			wantTold(t, got, "X-Auth-Actor", "alice")
			if t.Failed() {
				t.Fatalf("with %q, a machine by its %s", words, name)
			}
		}
		for _, act := range []any{map[string]any{}, map[string]any{"client_id": "desk"}, map[string]any{"sub": ""}, "mallory", 7} {
			got := s.through("GET", "/app", "Authorization", "Bearer "+p.Token("alice", map[string]any{"act": act}))
			if strings.Contains(words, "require") {
				sidecartest.WantStatus(t, got, 401)
				continue
			}
			sidecartest.WantStatus(t, got, 200)
			wantTold(t, got, "X-Auth-User", "")
			wantTold(t, got, "X-Auth-Actor", "")
		}
	}
}

func TestIdentity_WhatIsRefusedAndWhatPasses(t *testing.T) {
	t.Parallel()
	foreign := sidecartest.NewIDP(t, "https://elsewhere.example.com").Token("alice", nil)
	for name, words := range map[string]string{"optional": "", "required": "require\n\t\t\texempt /public/*"} {
		t.Run(name, func(t *testing.T) {
			s, p := identitySite(t, words)
			must := map[string]int{"optional": 200, "required": 401}[name]
			bad := "Bearer " + p.own.Text("access_token")[:len(p.own.Text("access_token"))-4] + "AAAA"
			for _, c := range []struct {
				what          string
				authorization []string
				status        int
				challenge     string
			}{
				{"nothing", nil, must, "Bearer"},
				{"another scheme", []string{"Basic YTpi"}, must, "Bearer"},
				{"an opaque token of the app", []string{"Bearer abc123"}, must, `Bearer error="invalid_token"`},
				{"another issuer's token", []string{"Bearer " + foreign}, must, `Bearer error="invalid_token"`},
				{"a caller's token", []string{"Bearer " + p.Token("alice", nil)}, must, `Bearer error="invalid_token"`},
				{"two tokens of others", []string{"Bearer a", "Bearer b"}, must, `Bearer error="invalid_token"`},
				{"a bad token of ours", []string{bad}, 401, `Bearer error="invalid_token"`},
				{"two good tokens of ours", []string{bearerOf(p.own), bearerOf(p.own)}, 401, `Bearer error="invalid_token"`},
				{"a refresh token", []string{"Bearer " + p.own.Text("refresh_token")}, 401, `Bearer error="invalid_token"`},
				{"a refresh token by another scheme", []string{"Token token=\"" + p.own.Text("refresh_token") + "\""}, 401, "Bearer"},
				{"a refresh token alone", []string{p.own.Text("refresh_token")}, 401, "Bearer"},
				{"a refresh token, padded", []string{"Bearer " + p.own.Text("refresh_token") + "=="}, 401, `Bearer error="invalid_token"`},
			} {
				var header []string
				for _, value := range c.authorization {
					header = append(header, "Authorization", value)
				}
				got := s.through("GET", "/app", header...)
				if got.Status != c.status {
					t.Errorf("%s: %d, want %d", c.what, got.Status, c.status)
				}
				challenge := got.Header.Get("WWW-Authenticate")
				switch {
				case got.Status == 401 && !strings.HasPrefix(challenge, c.challenge):
					t.Errorf("%s: challenge %q, want %q", c.what, challenge, c.challenge)
				case got.Status == 200 && (len(told(got.Body, "X-Auth-User")) > 0 || len(told(got.Body, "Authorization")) != len(c.authorization)):
					t.Errorf("%s: the app sees %s", c.what, got.Body)
				}
			}
		})
	}
}

func TestIdentity_Exempt(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "require\n\t\t\texempt /public/* /login")
	for path, status := range map[string]int{
		"/public/": 200, "/public/a.css": 200, "/login": 200, "/LOGIN": 200, "/app": 401, "/": 401, "/publicity": 401,
		"/public/../app": 401, "/public/%2e%2e/app": 401, "/public/..%2fapp": 401, "/public/..%252fapp": 401, "/public/..;/app": 401, `/public/..%5capp`: 401, "/login/x": 401,
	} {
		got := s.raw("GET " + path + " HTTP/1.1\nHost: app\nConnection: close\n\n")
		if !strings.HasPrefix(got, fmt.Sprint(status)) {
			t.Errorf("%s: %s, want %d", path, got[:3], status)
		}
	}
	// What is bad there is not ours to refuse, and not the app's to see.
	got := s.through("GET", "/public/x", "Authorization", "Bearer "+p.own.Text("refresh_token"))
	sidecartest.WantStatus(t, got, 200)
	wantTold(t, got, "Authorization", "")
	preflight := s.through("OPTIONS", "/app", "Origin", "https://other.example.com", "Access-Control-Request-Method", "PUT")
	sidecartest.WantStatus(t, preflight, 200)
	sidecartest.WantStatus(t, s.through("OPTIONS", "/app"), 401)
}

func TestIdentity_ErrorRoutesSeeTheSameRequest(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\trequire\n\t\t}")
	site = strings.TrimSuffix(strings.TrimSpace(site), "}") + "\thandle_errors {\n\t\trespond \"sorry {err.status_code} {header.X-Auth-User}|\"\n\t}\n}\n"
	s.Start(site)
	got := s.through("GET", "/app", "X-Auth-User", "root")
	sidecartest.WantStatus(t, got, 401)
	if got.Body != "sorry 401 |" || got.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%q, challenge %q", got.Body, got.Header.Get("WWW-Authenticate"))
	}
}

func TestIdentity_Placeholders(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity")
	site = strings.Replace(site, "\treverse_proxy", `	log
	@alice vars {http.auth.user.id} alice
	@desk vars {http.auth_sessions.actor} carol
	request_header @desk X-Desk yes
	request_header @alice X-For "{http.auth.user.id}|{http.auth.user.session_id}|{http.auth.user.actor}|{http.auth.user.is_impersonation}|{http.auth_sessions.user.id}|{http.auth_sessions.actor}"
	reverse_proxy`, 1)
	s.Start(site)
	imp := s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	got := s.through("GET", "/app", "Authorization", bearerOf(imp))
	wantTold(t, got, "X-For", "alice|"+imp.Text("session_id")+"|carol|true|alice|carol")
	wantTold(t, got, "X-Desk", "yes")
	s.WaitLog(`"user_id":"alice"`)
	wantTold(t, s.through("GET", "/app", "X-Auth-User", "alice"), "X-For", "")
}

func TestIdentity_Login(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "require\n\t\t\tlogin /login?next={http.request.uri_escaped}\n\t\t\texempt /login")
	for _, c := range []struct {
		what, method string
		header       []string
		location     string
	}{
		{"a person", "GET", []string{"Sec-Fetch-Mode", "navigate", "Accept", "*/*"}, "/login?next=%2Fapp%3Fa%3Db%26c"},
		{"a person with an old browser", "GET", []string{"Accept", "text/html,application/xhtml+xml"}, "/login?next=%2Fapp%3Fa%3Db%26c"},
		{"a script", "GET", []string{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, ""},
		{"a program", "GET", []string{"Accept", "application/json"}, ""},
		{"a program with a token", "GET", []string{"Accept", "text/html", "Authorization", "Bearer " + p.own.Text("refresh_token")}, ""},
		{"a form", "POST", []string{"Sec-Fetch-Mode", "navigate"}, ""},
		{"a socket", "GET", []string{"Accept", "text/html", "Connection", "Upgrade", "Upgrade", "websocket"}, ""},
	} {
		got := s.through(c.method, "/app?a=b&c", c.header...)
		want := 401
		if c.location != "" {
			want = 302
		}
		if got.Status != want || got.Header.Get("Location") != c.location || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d to %q, want %d to %q", c.what, got.Status, got.Header.Get("Location"), want, c.location)
		}
	}
	got := rawExchange(t, s.URL, "GET //evil.example/x HTTP/1.1\r\nHost: app.example.com\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 302 ") || !strings.Contains(got, "\r\nLocation: /login?next=/\r\n") || strings.Contains(got, "Authenticate") {
		t.Errorf("with the path of another host: %s", got)
	}
}

// In shadow mode, the app gets what it got before: none of its headers is taken away and none
// set, and it is said once which will be.
func TestIdentity_Shadow(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "shadow\n\t\t\tassertion\n\t\t\theader X-User user_id")
	sidecartest.WantStatus(t, s.through("GET", "/reset/"+p.Token("alice", nil)), 200) // L1: its path is logged
	for range 3 {
		for _, authorization := range []string{"Basic YTpi", bearerOf(p.own), bearerOf(p.imp)} {
			got := s.through("GET", "/app", "Authorization", authorization, "X-Auth-User", "root", "X-User", "root", "Connection", "Upgrade", "Upgrade", "h2c")
			sidecartest.WantStatus(t, got, 200)
			for name, want := range map[string]string{"X-Auth-User": "root", "X-User": "root", "X-Auth-Session": "", "X-Auth-Actor": "", "Authorization": authorization, "Upgrade": "h2c"} {
				wantTold(t, got, name, want)
			}
		}
	}
	sidecartest.WantStatus(t, s.through("GET", "/app", "x_auth_actor", "root"), 200)
	s.WaitLog("request would be refused: identity is in shadow mode")
	const says = "a header that is removed once identity is no longer in shadow mode"
	for _, header := range []string{"X-Auth-User", "X-User"} {
		s.WaitLog(says + `","issuer":"https://app.example.com","header":"` + header + `"}`)
	}
	if n := strings.Count(s.Log(), says); n != 2 {
		t.Errorf("said %d times", n)
	}
	// A refresh token never goes anywhere.
	got := s.through("GET", "/app", "Authorization", "Bearer "+p.own.Text("refresh_token"))
	sidecartest.WantStatus(t, got, 200)
	wantTold(t, got, "Authorization", "")
}

// The default names are ours, whatever names are configured.
func TestU1_TheDefaultNamesAreOursWhateverIsConfigured(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"header X-Auth-User user_id\n\t\t\theader X-Auth-Actor actor", "header X-Who user_id", "require\n\t\t\texempt *\n\t\t\theader X-Who user_id"} {
		s, p := identitySite(t, words)
		for _, authorization := range []string{"", "Basic YTpi", bearerOf(p.own), bearerOf(p.imp)} {
			for how, lines := range spoofs {
				got := s.raw("GET /app HTTP/1.1\nHost: app\n" + lines + "Authorization: " + authorization + "\nConnection: close\n\n")
				for _, name := range []string{"X-Auth-User", "X-Auth-Session", "X-Auth-Actor"} {
					for _, value := range told(got, name) {
						if value == "root" || value == "s" || value == "a" {
							t.Errorf("%s, %s: the app is told %s %s", words, how, name, value)
						}
					}
				}
			}
		}
	}
}
